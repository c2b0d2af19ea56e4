import { useState } from "preact/hooks";
import { auth, serverVersion } from "../lib/api";
import { ago } from "../lib/format";
import { useResource } from "../lib/resource";
import { type Theme, theme } from "../lib/theme";
import type { ApiKey } from "../lib/types";
import { me, useTitle } from "../ui/shell";
import { AskDialog, attempt, Button, copyText, Dialog, ErrorNote, Spinner } from "../ui/widgets";

const THEMES: [Theme, string][] = [
  ["auto", "as the system"],
  ["light", "light"],
  ["dark", "dark"],
];

export default function SettingsPage() {
  const keys = useResource(() => auth.keys(), []);
  const server = useResource(() => serverVersion(), []);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<ApiKey | null>(null);
  useTitle([{ text: "Settings" }]);
  return (
    <main class="page narrow">
      <div class="toolbar">
        <h1>Settings</h1>
      </div>
      <section class="card">
        <h2>You</h2>
        <dl class="facts">
          <dt>name</dt>
          <dd>{me.value?.name}</dd>
          <dt>role</dt>
          <dd>{me.value?.role}</dd>
          <dt>server</dt>
          <dd>smalti {server.data?.version}</dd>
        </dl>
      </section>
      <section class="card">
        <h2>Appearance</h2>
        <div class="line" role="radiogroup" aria-label="Theme">
          {THEMES.map(([value, text]) => (
            <label key={value} class="inline">
              <input
                type="radio"
                name="theme"
                checked={theme.value === value}
                onChange={() => {
                  theme.value = value;
                }}
              />
              {text}
            </label>
          ))}
        </div>
      </section>
      <section class="card">
        <div class="card-head">
          <h2>API keys</h2>
          <Button icon="plus" onClick={() => setMaking(true)}>
            New key
          </Button>
        </div>
        <p class="muted">For programs: they send the two parts as user name and password.</p>
        <ErrorNote error={keys.error} retry={keys.reload} />
        {!keys.data && !keys.error && <Spinner />}
        {keys.data && keys.data.length > 0 && (
          <div class="table-scroll">
            <table class="table">
              <thead>
                <tr>
                  <th>access key</th>
                  <th>note</th>
                  <th>user</th>
                  <th>made</th>
                  <th>
                    <span class="offscreen">revoke</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {keys.data.map((key) => (
                  <tr key={key.access_key} class={key.revoked ? "off" : ""}>
                    <td class="mono">{key.access_key}</td>
                    <td>{key.note}</td>
                    <td>{key.user}</td>
                    <td class="muted">{ago(key.created)}</td>
                    <td>
                      {key.revoked ? (
                        <span class="muted">revoked</span>
                      ) : (
                        <Button
                          kind="danger"
                          onClick={async () =>
                            (await attempt(() => auth.dropKey(key.access_key), "Revoked")) && keys.reload()
                          }
                        >
                          Revoke
                        </Button>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      {making && (
        <AskDialog
          title="New API key"
          label="What is it for?"
          action="Create"
          run={async (note) => {
            setMade(await auth.makeKey(note));
            keys.reload();
          }}
          close={() => setMaking(false)}
        />
      )}
      {made && (
        <Dialog title="Your new key" close={() => setMade(null)}>
          <div class="form">
            <p>The secret is shown this once.</p>
            <dl class="facts wide">
              <dt>access key</dt>
              <dd class="mono break">{made.access_key}</dd>
              <dt>secret key</dt>
              <dd class="mono break">{made.secret_key}</dd>
            </dl>
            <footer>
              <Button icon="copy" onClick={() => void copyText(`${made.access_key}:${made.secret_key}`)}>
                Copy both
              </Button>
              <Button kind="primary" onClick={() => setMade(null)}>
                Done
              </Button>
            </footer>
          </div>
        </Dialog>
      )}
    </main>
  );
}
