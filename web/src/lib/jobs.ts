/** Long work in the background of the server. */
import { job } from "./api";
import { listen } from "./live";
import type { Job } from "./types";

const LOOK_MS = 2000;

/** The job once it is done; a failure is thrown in the server's words. Told by events, and looked at in case one is lost. */
export function finished(started: Job, tell?: (now: Job) => void): Promise<Job> {
  return new Promise((done, fail) => {
    let ended = false;
    const look = async (): Promise<void> => {
      const now = await job(started.id);
      if (ended) return;
      tell?.(now);
      if (now.state === "queued" || now.state === "running") return;
      end();
      if (now.state === "done") done(now);
      else fail(new Error(now.message || `the job ${now.state}`));
    };
    const broken = (error: unknown): void => {
      end();
      fail(error);
    };
    const stop = listen((change) => {
      if (change.kind === "job.progress" && change.job === started.id) look().catch(broken);
    });
    const timer = setInterval(() => look().catch(broken), LOOK_MS);
    const end = (): void => {
      ended = true;
      stop();
      clearInterval(timer);
    };
    look().catch(broken);
  });
}
