/** Modules look at the page once when they load; the tests of logic need no more of one than this. */
Object.assign(globalThis, {
  document: { querySelector: () => null, documentElement: { dataset: {} } },
});
