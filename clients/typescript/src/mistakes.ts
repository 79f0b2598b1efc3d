/** What must not compile: each line below is an error to the compiler, or the types have become too loose. */
import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";

const client = createClient<paths>();
const path = { projectId: "01936f5d-1a2b-7c3d-8e4f-5a6b7c8d9e0f" };

// @ts-expect-error there is no such call
export const unknownCall = client.GET("/api/exports");

// @ts-expect-error a project has no such codec
export const wrongCodec = client.POST("/api/projects", { body: { title: "T", compositionId: "M", codec: "betamax" } });

// @ts-expect-error the title is missing
export const missingField = client.POST("/api/projects", { body: { compositionId: "M" } });

// @ts-expect-error a title is text
export const wrongKind = client.PATCH("/api/projects/{projectId}", { params: { path }, body: { title: 7 } });

// @ts-expect-error a path needs its parameter
export const missingId = client.GET("/api/projects/{projectId}", {});

export function show(status: components["schemas"]["ExportStatus"]): string[] {
    return [
        // @ts-expect-error there is no address until the export is completed
        status.outputUrl.toUpperCase(),
        // @ts-expect-error an export has no such status
        status.status === "done" ? "done" : "",
    ];
}
