import { useState } from "preact/hooks";
import { Button, copyText, Dialog, ErrorNote } from "../ui/widgets";

interface Props {
  title: string;
  value: object;
  frozen: boolean;
  save?: (value: Record<string, unknown>) => void;
  close: () => void;
}

/** JSON to read, or to edit where it may be; only an object is taken. */
export function MetaDialog({ title, value, frozen, save, close }: Props) {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [error, setError] = useState("");
  const submit = () => {
    try {
      const found: unknown = JSON.parse(text);
      if (!found || typeof found !== "object" || Array.isArray(found)) throw new Error("it must be an object: { … }");
      save?.(found as Record<string, unknown>);
      close();
    } catch (thrown) {
      setError(thrown instanceof Error ? thrown.message : String(thrown));
    }
  };
  return (
    <Dialog title={title} close={close} wide>
      <div class="form">
        <textarea
          class="code"
          aria-label={title}
          rows={18}
          readOnly={frozen || !save}
          value={text}
          spellcheck={false}
          onInput={(e) => setText(e.currentTarget.value)}
        />
        <ErrorNote error={error} />
        <footer>
          <Button icon="copy" onClick={() => void copyText(text)}>
            Copy
          </Button>
          <Button onClick={close}>Close</Button>
          {save && !frozen && (
            <Button kind="primary" onClick={submit}>
              Apply
            </Button>
          )}
        </footer>
      </div>
    </Dialog>
  );
}
