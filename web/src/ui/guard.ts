import { useEffect } from "preact/hooks";

/** Closing or reloading the tab, or a link to another page, asks first while there is something that is not saved. */
export function useGuard(unsaved: () => boolean): void {
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      if (unsaved()) event.preventDefault();
    };
    const askLink = (event: MouseEvent) => {
      const link = (event.target as Element).closest?.<HTMLAnchorElement>("a[href]");
      if (!link || link.target || link.download || event.ctrlKey || event.metaKey || !unsaved()) return;
      if (confirm("There are changes that are not saved. Leave and lose them?")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    window.addEventListener("beforeunload", ask);
    document.addEventListener("click", askLink, true);
    return () => {
      window.removeEventListener("beforeunload", ask);
      document.removeEventListener("click", askLink, true);
    };
  });
}
