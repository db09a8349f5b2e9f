package fault

import "html"

var escape = html.EscapeString

const pageHTML = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>%d %s</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
pre { overflow: auto; padding: 1rem; border: 1px solid #8884; border-radius: 6px; background: #8881; white-space: pre-wrap }
</style></head><body><h1>%d %s</h1><p>%s</p><pre>%s</pre></body></html>
`
