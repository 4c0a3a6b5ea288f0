import { Html } from './html';

/** All of the page's style: nothing is fetched, and it prints in black on white with the backgrounds off. */
export const STYLE = new Html(`
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #1a202c; background: #fff; margin: 0 auto; padding: 28px 36px; max-width: 1120px; }
h1 { font-size: 24px; margin: 0 0 2px; } h2 { font-size: 16px; margin: 28px 0 8px; border-bottom: 1px solid #cbd5e0; padding-bottom: 3px; }
p { margin: 6px 0; } .quiet, .legend { color: #4a5568; font-size: 12.5px; } code { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.badges { display: flex; flex-wrap: wrap; gap: 10px; margin: 14px 0 4px; }
.badge { border: 1.5px solid #718096; border-radius: 6px; padding: 7px 14px; min-width: 130px; } .badge b { display: block; font-size: 19px; } .badge span { color: #4a5568; font-size: 12.5px; }
.good { border-color: #2f855a; } .good b { color: #276749; } .bad { border-color: #c53030; } .bad b { color: #c53030; }
table { border-collapse: collapse; width: 100%; font-size: 12.5px; } th, td { text-align: left; vertical-align: top; padding: 4px 8px 4px 0; border-bottom: 1px solid #e2e8f0; overflow-wrap: anywhere; }
th { color: #4a5568; font-weight: 600; } thead th { white-space: nowrap; } table.facts th { width: 190px; } tr { break-inside: avoid; }
svg { width: 100%; height: auto; display: block; } svg.key { display: inline-block; width: 10px; height: 10px; } .legend span { margin-right: 12px; white-space: nowrap; }
.screens { display: flex; flex-wrap: wrap; gap: 16px; } figure { margin: 0; width: 330px; break-inside: avoid; } figure img { width: 100%; border: 1px solid #a0aec0; background: #000; } figcaption { font-size: 12.5px; }
.failure { border-left: 4px solid #c53030; padding: 4px 12px; overflow-wrap: anywhere; }
@page { margin: 14mm; } @media print { body { padding: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; } thead { display: table-header-group; } }
`);
