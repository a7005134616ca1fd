import { html } from "hono/html";

/** The page at `/`: what this is and how to go on. It tells nothing about the pool. */
export function startPage(version: string): ReturnType<typeof html> {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>dvsan station</title>
        <style>
              body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto;
                    padding: 0 1rem; }
              pre { overflow-x: auto; padding: 0.75rem; border: 1px solid; border-radius: 4px; }
            </style>
      </head>
      <body>
        <h1>dvsan station</h1>
        <p>Version ${version}. This station builds the storage pool and hands out space.</p>
        <p>On the station's machine:</p>
        <pre>dvsan ctl pool --token-file STATE/admin.token
    dvsan ctl units
    dvsan ctl tasks</pre>
        <p>
              The API is described at <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.
              It needs the token that the station wrote to <code>admin.token</code> in its state
              directory.
            </p>
      </body>
    </html>
  `;
}
