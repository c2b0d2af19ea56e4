import { useCallback, useEffect, useState } from "preact/hooks";
import { say } from "./http";

export interface Resource<T> {
  data: T | undefined;
  error: string;
  loading: boolean;
  reload: () => void;
}

/** Something read from the server, again whenever `deps` change. An older answer never overtakes a newer question. */
export function useResource<T>(read: (signal: AbortSignal) => Promise<T>, deps: unknown[]): Resource<T> {
  const [state, setState] = useState<{ data?: T; error: string; loading: boolean }>({ error: "", loading: true });
  const [turn, setTurn] = useState(0);
  // The caller names what the question depends on
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, loading: true, error: "" }));
    read(stop.signal).then(
      (data) => {
        if (!stop.signal.aborted) setState({ data, error: "", loading: false });
      },
      (error) => {
        if (!stop.signal.aborted) setState((before) => ({ ...before, error: say(error), loading: false }));
      },
    );
    return () => stop.abort();
  }, [...deps, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { data: state.data, error: state.error, loading: state.loading, reload };
}
