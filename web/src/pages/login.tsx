import { useEffect, useState } from "preact/hooks";
import { auth } from "../lib/api";
import { say } from "../lib/http";
import { page, root } from "../lib/url";
import { ThemeButton } from "../ui/shell";
import { Button, ErrorNote } from "../ui/widgets";

/** A page of this site, whatever somebody wrote behind next=. */
function target(): string {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  const inside = next.startsWith(`${root}/`) && !next.startsWith("//") && !next.includes("\\");
  return inside ? next : page.datasets();
}

export default function LoginPage() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Log in · smalti";
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await auth.login(name, password);
      location.assign(target());
    } catch (thrown) {
      setError(say(thrown));
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form class="card form" onSubmit={submit}>
        <header>
          <img src={`${root}/icon.svg`} alt="" width="36" height="36" />
          <h1>smalti</h1>
          <span class="grow" />
          <ThemeButton />
        </header>
        <label class="field">
          <span>Name</span>
          <input
            name="username"
            autocomplete="username"
            required
            value={name}
            onInput={(e) => setName(e.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Password</span>
          <input
            name="password"
            type="password"
            autocomplete="current-password"
            required
            value={password}
            onInput={(e) => setPassword(e.currentTarget.value)}
          />
        </label>
        <ErrorNote error={error} />
        <footer>
          <Button kind="primary" type="submit" disabled={busy}>
            Log in
          </Button>
        </footer>
        <p class="muted small">
          Started on this machine? Open the link that <code>smalti serve</code> printed; it logs you in.
        </p>
      </form>
    </main>
  );
}
