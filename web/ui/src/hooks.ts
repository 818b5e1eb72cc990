import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
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
  useEffect(() => {
    if (path === null) return setAsked({ loading: false, path });
    const abort = new AbortController();
    setAsked((before) => (before.path === path ? { ...before, loading: true } : { loading: true }));
    get<T>(path, abort.signal)
      .then((data) => setAsked({ data, loading: false, path }))
      .catch((error: Error) => {
        if (!abort.signal.aborted) setAsked({ error: error.message, loading: false, path });
      });
    return () => abort.abort();
  }, [path, version]);
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
