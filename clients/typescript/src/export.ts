/**
 * Asks for an export of a project and follows it to its end:
 *
 *     node export.js http://localhost:8000 USERNAME PASSWORD PROJECT_ID
 *
 * It prints a line of JSON for each status, and exits with 0 where the export is completed.
 */
import { setTimeout as sleep } from "node:timers/promises";

import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";

type Status = components["schemas"]["ExportStatus"];
type Problem = components["schemas"]["Problem"];

const [baseUrl = "", username = "", password = "", projectId = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl });

const signedIn = await client.POST("/api/auth/token", { body: { username, password } });
if (signedIn.error) refuse(signedIn.error);
const headers = { Authorization: `Bearer ${signedIn.data.access}` };

const accepted = await client.POST("/api/exports/projects/{projectId}/export", {
    params: { path: { projectId }, header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { codec: "h264", renderOptions: { crf: 20 }, metadata: { from: "client" } },
    headers,
});
if (accepted.error) refuse(accepted.error);

const { exportId } = accepted.data;
let seen: Status | undefined;
while (!seen || seen.status === "pending" || seen.status === "processing") {
    if (seen) await sleep(500);
    const answer = await client.GET("/api/exports/{exportId}/status", { params: { path: { exportId } }, headers });
    if (answer.error) refuse(answer.error);
    if (!answer.data) continue;
    seen = answer.data;
    console.log(JSON.stringify({ exportId, status: seen.status, progress: seen.progress, url: seen.outputUrl }));
}
process.exitCode = seen.status === "completed" ? 0 : 1;

function refuse(problem: Problem): never {
    console.error(`${problem.title}: ${problem.detail}`);
    process.exit(1);
}
