import { createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { get } from "./api";

/** Changes whenever the store does: answers are then asked for again. */
export const Version = createContext("");

export interface Asked<T> {
  data?: T;
  error?: string;
  loading: boolean;
}

/** What the API says at `path`; the last answer stays while a new one is awaited. */
export function useApi<T>(path: string | null): Asked<T> {
  const version = useContext(Version);
  const [asked, setAsked] = useState<Asked<T> & { path?: string | null }>({ loading: true });
  // An answer under way is waited for: a store that changes often would be asked and
  // never heard.
  const wanted = useRef({ version, ask: () => {} });
  useEffect(() => {
    if (path === null) return setAsked({ loading: false, path });
    const abort = new AbortController();
    let answered = "";
    let busy = false;
    const ask = () => {
      if (busy) return;
      busy = true;
      const about = wanted.current.version;
      setAsked((before) => (before.path === path ? { ...before, loading: true } : { loading: true }));
      get<T>(path, abort.signal)
        .then((data) => setAsked({ data, loading: false, path }))
        .catch((error: Error) => {
          if (!abort.signal.aborted) setAsked({ error: error.message, loading: false, path });
        })
        .finally(() => {
          busy = false;
          answered = about;
          if (!abort.signal.aborted && wanted.current.version !== answered) ask();
        });
    };
    wanted.current.ask = ask;
    ask();
    return () => abort.abort();
  }, [path]);
  useEffect(() => {
    if (wanted.current.version === version) return;
    wanted.current.version = version;
    wanted.current.ask();
  }, [version]);
  return asked;
}

/** The part of the address after `#`, and its query. */
export function useRoute(): { path: string[]; params: URLSearchParams } {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  const [path, params] = hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").map(decodeURIComponent), params: new URLSearchParams(params ?? "") };
}

/** The address of a page. */
export function link(path: string[], params: Record<string, string | undefined> = {}): string {
  const set = Object.entries(params).filter((entry): entry is [string, string] => !!entry[1]);
  const tail = set.length ? "?" + new URLSearchParams(set).toString() : "";
  return "#/" + path.map(encodeURIComponent).join("/") + tail;
}
