"""What goes over the wire beside frames: the shapes of requests and answers. The OpenAPI is made from these records."""
