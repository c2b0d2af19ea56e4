import { useState } from "preact/hooks";
import { versions } from "../lib/api";
import { count, csv } from "../lib/format";
import { useResource } from "../lib/resource";
import type { Version } from "../lib/types";
import { page } from "../lib/url";
import { Button, Empty, ErrorNote, Spinner, saveFile } from "../ui/widgets";

/** The frame that a finding speaks of: its place begins with "frame <id>". */
function frameOf(where: string): string | null {
  return /^frame ([^\s:,]+)/.exec(where)?.[1] ?? null;
}

/** What the check of the masks found when the version was published. */
export function ReportTab({ version, dataset }: { version: Version; dataset: string }) {
  const found = useResource(() => versions.report(version.id), [version.id, version.updated]);
  const [least, setLeast] = useState("info");
  if (found.error) return <ErrorNote error={found.error} retry={found.reload} />;
  if (found.loading) return <Spinner />;
  const report = found.data;
  if (!report?.findings) {
    return (
      <Empty title="Not checked">
        Publish with “Check the masks first”, or run <code>smalti check</code> where the files are.
      </Empty>
    );
  }
  const rank = ["info", "warning", "error"];
  const shown = report.findings.filter((f) => rank.indexOf(f.severity) >= rank.indexOf(least));
  return (
    <div class="about">
      <div class="toolbar">
        <span>
          {report.findings.length ? `${count(report.findings.length)} findings` : "Nothing to complain about"}
        </span>
        <select aria-label="Severity" value={least} onChange={(e) => setLeast(e.currentTarget.value)}>
          <option value="info">all</option>
          <option value="warning">warnings and errors</option>
          <option value="error">errors</option>
        </select>
        <span class="grow" />
        <Button
          icon="download"
          onClick={() =>
            saveFile(
              `${version.name}-check.csv`,
              csv([
                ["severity", "code", "where", "message", "hint"],
                ...shown.map((f) => [f.severity, f.code, f.where, f.message, f.hint]),
              ]),
            )
          }
        >
          CSV
        </Button>
      </div>
      <div class="table-scroll">
        <table class="table blocks">
          <thead>
            <tr>
              <th>severity</th>
              <th>code</th>
              <th>where</th>
              <th class="wide">what</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((f) => {
              const frame = frameOf(f.where);
              return (
                <tr key={`${f.code} ${f.where} ${f.message}`}>
                  <td>
                    <span class={`state ${f.severity}`}>{f.severity}</span>
                  </td>
                  <td class="mono">{f.code}</td>
                  <td class="mono">
                    {frame ? <a href={page.frame(dataset, version.name, frame)}>{f.where}</a> : f.where}
                  </td>
                  <td>
                    {f.message}
                    <div class="muted small">{f.hint}</div>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </div>
  );
}
