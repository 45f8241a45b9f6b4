<?php

declare(strict_types=1);

namespace FailoverDemo;

/** The run as one HTML file that needs nothing else. */
final class Page
{
    public function __construct(private readonly Result $result)
    {
    }

    public function html(): string
    {
        $picture = new Picture($this->result);
        $broken = $this->result->broken();
        $verdict = $broken === []
            ? '<p class="verdict good"><b>&#10003; Both acts clear their bars.</b></p>'
            : '<div class="verdict bad"><b>&#10007; Broken:</b><ul><li>' . implode('</li><li>', array_map(self::text(...), $broken)) . '</li></ul></div>';
        $tables = '';
        foreach ($this->result->acts as $act) {
            $tables .= self::table($act->title, $act->rows($this->result->diary));
        }
        $tables .= self::table('The data at the end', $this->result->data());
        $style = self::style();

        return <<<HTML
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>ResilientRedis: failover timeline</title>
            <style>
            $style
            </style>
            </head>
            <body>
            <main>
            <h1>A program, and two failovers under it</h1>
            <p>One PHP program counts, writes and reads without a break. It was given a single address. First its primary is
            killed and a replica promoted a second later; then two servers exchange their roles by plan.</p>
            $verdict
            <figure>
            {$picture->svg()}
            <figcaption>
            <ul class="legend">
            <li><svg width="18" height="14" aria-hidden="true"><rect class="bar" x="2" y="1" width="14" height="13"/></svg> operations per second, each bar a tenth of a second</li>
            <li><svg width="18" height="14" aria-hidden="true"><rect class="pause" x="1" y="4" width="16" height="8"/></svg> pause: no operation finished</li>
            <li><svg width="18" height="14" aria-hidden="true"><rect class="none" x="1" y="1" width="16" height="13"/></svg> there is no primary</li>
            <li><svg width="18" height="14" aria-hidden="true"><line class="bad-line" x1="9" y1="0" x2="9" y2="14"/></svg> a primary goes</li>
            <li><svg width="18" height="14" aria-hidden="true"><line class="good-line" x1="9" y1="0" x2="9" y2="14"/></svg> a primary comes</li>
            <li><svg width="18" height="14" aria-hidden="true"><line class="client-line" x1="9" y1="0" x2="9" y2="14"/></svg> the client's own events</li>
            <li><b>&times;</b> failed &nbsp; <b>?</b> outcome unknown</li>
            </ul>
            <ol class="events">
            {$picture->eventList()}
            </ol>
            </figcaption>
            </figure>
            <div class="tables">
            $tables
            </div>
            </main>
            </body>
            </html>

            HTML;
    }

    public static function text(string $text): string
    {
        return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE | ENT_HTML5);
    }

    /** @param array<string, string> $rows */
    private static function table(string $title, array $rows): string
    {
        $html = '<table><caption>' . self::text($title) . '</caption><tbody>';
        foreach ($rows as $name => $value) {
            $html .= '<tr><th scope="row">' . self::text($name) . '</th><td>' . self::text($value) . '</td></tr>';
        }

        return $html . '</tbody></table>';
    }

    /** Colours by Okabe and Ito, which colour-blind people can tell apart; no meaning hangs on colour alone. */
    private static function style(): string
    {
        return <<<'CSS'
            :root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1d1f21; --soft: #6b6f73; --rule: #d9dad6;
                    --bar: #0072b2; --bad: #d55e00; --good: #00795a; --client: #8a4a78; --pause: #e69f00; }
            @media (prefers-color-scheme: dark) {
              :root { --paper: #16181a; --ink: #e8e8e4; --soft: #a0a4a8; --rule: #34383c;
                      --bar: #56b4e9; --bad: #ff8a3d; --good: #2bc79a; --client: #d79ac4; --pause: #f0b93a; }
            }
            body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
            main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
            h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
            figure { margin: 1.5rem 0; }
            figure > svg { width: 100%; height: auto; display: block; }
            svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
            svg text.soft { fill: var(--soft); }
            svg text.title { font-size: 15px; font-weight: 600; }
            .bar { fill: var(--bar); }
            .grid { stroke: var(--rule); stroke-width: 1; }
            .axis { stroke: var(--soft); stroke-width: 1; }
            .none { fill: var(--bad); fill-opacity: .14; stroke: var(--bad); stroke-dasharray: 3 3; }
            .reign { fill: var(--bar); fill-opacity: .14; stroke: var(--bar); }
            .pause { fill: var(--pause); stroke: var(--ink); stroke-width: .75; }
            .bad-line { stroke: var(--bad); stroke-width: 2; }
            .good-line { stroke: var(--good); stroke-width: 2; stroke-dasharray: 7 3; }
            .client-line { stroke: var(--client); stroke-width: 1.5; stroke-dasharray: 2 3; }
            .badge { fill: var(--paper); stroke: var(--soft); }
            .mark { font-weight: 700; text-anchor: middle; }
            .legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; color: var(--soft); font-size: .9rem; }
            .legend svg { vertical-align: -2px; }
            .events { font-size: .9rem; padding-left: 1.6rem; }
            .events time { color: var(--soft); font-variant-numeric: tabular-nums; }
            .verdict { padding: .5rem .9rem; border-left: 4px solid; background: color-mix(in srgb, currentColor 7%, transparent); }
            .verdict.good { border-color: var(--good); }
            .verdict.bad { border-color: var(--bad); }
            .tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1.5rem; }
            table { border-collapse: collapse; width: 100%; font-size: .9rem; align-self: start; }
            caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
            th, td { border-top: 1px solid var(--rule); padding: .3rem .2rem; vertical-align: top; }
            th { text-align: left; font-weight: 400; color: var(--soft); }
            td { text-align: right; font-variant-numeric: tabular-nums; }
            CSS;
    }
}
