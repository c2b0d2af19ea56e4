import { useEffect } from "preact/hooks";

/** Closing or reloading the tab asks first while there is something that is not saved. */
export function useGuard(unsaved: () => boolean): void {
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      if (unsaved()) event.preventDefault();
    };
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  });
}
