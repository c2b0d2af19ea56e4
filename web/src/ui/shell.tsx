import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { auth } from "../lib/api";
import { connected, listen } from "../lib/live";
import { nextTheme, theme } from "../lib/theme";
import type { Me } from "../lib/types";
import { page, root } from "../lib/url";
import { Icon, type IconName } from "./icons";
import { attempt, Button, Menu, Toasts } from "./widgets";

/** Who is logged in; null until that is known. */
export const me = signal<Me | null>(null);

export const canEdit = (): boolean => me.value !== null && me.value.role !== "viewer";
export const canAdmin = (): boolean => me.value?.role === "admin";

export interface Crumb {
  text: string;
  href?: string;
}

/** Where we are; each page says it when it knows. */
export const crumbs = signal<Crumb[]>([]);

export function useTitle(list: Crumb[]): void {
  const key = JSON.stringify(list);
  // Compared by what it says
  useEffect(() => {
    crumbs.value = list;
    document.title = `${list.at(-1)?.text ?? "smalti"} · smalti`;
  }, [key]);
}

const PLACES: [string, IconName, string][] = [
  ["datasets", "datasets", "Datasets"],
  ["dataviews", "dataviews", "Dataviews"],
  ["settings", "settings", "Settings"],
];

export function Shell({ children }: { children: ComponentChildren }) {
  const { path } = useLocation();
  const login = path === page.login();
  useEffect(() => {
    if (login || me.value) return;
    auth.me().then(
      (found) => {
        me.value = found;
      },
      () => undefined, // not logged in: the client has already gone to the login page
    );
  }, [login]);
  if (login) {
    return (
      <>
        {children}
        <Toasts />
      </>
    );
  }
  const place = path.slice(root.length + 1).split("/")[0] ?? "";
  return (
    <div class="shell">
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <nav class="rail" aria-label="Places">
        <a class="logo" href={page.datasets()} aria-label="smalti: all datasets">
          <img src={`${root}/icon.svg`} alt="" width="26" height="26" />
        </a>
        {PLACES.map(([key, icon, text]) => {
          const on = place === key || (key === "datasets" && ["projects", "compare"].includes(place));
          return (
            <a key={key} href={`${root}/${key}`} class={on ? "on" : ""} aria-current={on ? "page" : undefined}>
              <Icon name={icon} size={19} />
              <span>{text}</span>
            </a>
          );
        })}
      </nav>
      <header class="top">
        <nav aria-label="Breadcrumb" class="crumbs">
          <ol>
            {crumbs.value.map((crumb, i) => (
              <li key={crumb.text + String(i)}>
                {crumb.href && i < crumbs.value.length - 1 ? (
                  <a href={crumb.href} class="ellipsis">
                    {crumb.text}
                  </a>
                ) : (
                  <span class="ellipsis" aria-current="page">
                    {crumb.text}
                  </span>
                )}
              </li>
            ))}
          </ol>
        </nav>
        <span class="grow" />
        <Connection />
        <ThemeButton />
        <User />
      </header>
      <div id="content" class="content" tabIndex={-1}>
        {children}
      </div>
      <Toasts />
    </div>
  );
}

/** Said quietly, and only while it is so: what others change is not seen now. */
export function Connection() {
  useEffect(() => listen(() => undefined), []);
  if (connected.value) return null;
  return (
    <span class="offline small" role="status" title="Changes that others make are shown once the server answers again">
      <Icon name="warn" size={13} /> no connection
    </span>
  );
}

export function ThemeButton() {
  const icon = { auto: "auto", light: "sun", dark: "moon" } as const;
  return <Button icon={icon[theme.value]} label={`Theme: ${theme.value}`} kind="ghost" onClick={nextTheme} />;
}

function User() {
  const who = me.value;
  if (!who) return null;
  const leave = async () => {
    if (await attempt(() => auth.logout())) location.assign(page.login());
  };
  return (
    <div class="user">
      <Icon name="user" />
      <span class="user-name ellipsis" title={`${who.name} (${who.role})`}>
        {who.name}
      </span>
      <Menu
        label="Account"
        items={[
          { text: "Settings and API keys", icon: "settings", run: () => location.assign(page.settings()) },
          { text: "Log out", icon: "out", run: () => void leave() },
        ]}
      />
    </div>
  );
}
