<?php

declare(strict_types=1);

namespace FailoverDemo;

/** The timeline as inline SVG: operations as bars, who is the primary as a band below, events as numbered lines. */
final class Picture
{
    private const WIDTH = 1000;
    private const LEFT = 62;
    private const RIGHT = 985;
    private const TOP = 78;
    private const BOTTOM = 300;

    /** Pauses shorter than this are not drawn: they are the pace of the program and of the machine. */
    private const WORTH_DRAWING = 0.015;

    private readonly Diary $diary;

    private readonly float $length;

    private readonly int $ceiling;

    public function __construct(private readonly Result $result)
    {
        $this->diary = $result->diary;
        $acts = $result->acts;
        $this->length = end($acts)->until - $this->diary->start;
        $most = max([1, ...array_map(static fn (array $bin): int => $bin['operations'] * 10, $this->bins())]);
        $this->ceiling = (int) (ceil($most / 500) * 500);
    }

    public function svg(): string
    {
        $parts = [
            ...$this->grid(),
            ...$this->reigns(),
            ...$this->bars(),
            ...$this->pauses(),
            ...$this->events(),
            ...$this->oddities(),
        ];
        $body = implode("\n", $parts);
        $description = Page::text(sprintf(
            'Operations per second over %.1f seconds. %s',
            $this->length,
            implode('; ', array_map(
                fn (array $mark): string => sprintf('%.2f s: %s', $mark['at'] - $this->diary->start, $mark['text']),
                $this->diary->marks,
            )),
        ));
        $width = self::WIDTH;

        return <<<SVG
            <svg viewBox="0 0 $width 384" role="img" aria-labelledby="what how" xmlns="http://www.w3.org/2000/svg">
            <title id="what">Failover timeline</title>
            <desc id="how">$description</desc>
            <text class="title" x="62" y="20">Operations per second while the primary is killed, and while roles are exchanged</text>
            $body
            </svg>
            SVG;
    }

    /** The numbered lines in words. */
    public function eventList(): string
    {
        $items = '';
        foreach ($this->diary->marks as $mark) {
            $items .= sprintf("<li><time>%.3f s</time> %s</li>\n", $mark['at'] - $this->diary->start, Page::text($mark['text']));
        }

        return $items;
    }

    /** @return list<array<string, mixed>> */
    private function bins(): array
    {
        return $this->diary->binsBetween($this->diary->start - 0.01, $this->diary->start + $this->length - 0.09);
    }

    private function x(float $time): float
    {
        $share = ($time - $this->diary->start) / $this->length;

        return round(self::LEFT + max(0.0, min(1.0, $share)) * (self::RIGHT - self::LEFT), 2);
    }

    private function y(float $perSecond): float
    {
        return round(self::BOTTOM - $perSecond / $this->ceiling * (self::BOTTOM - self::TOP), 2);
    }

    /** @return list<string> */
    private function grid(): array
    {
        $parts = [];
        for ($value = 0; $value <= $this->ceiling; $value += 500) {
            $y = $this->y($value);
            $parts[] = sprintf('<line class="grid" x1="%d" y1="%s" x2="%d" y2="%s"/>', self::LEFT, $y, self::RIGHT, $y);
            $parts[] = sprintf('<text class="soft" x="%d" y="%s" text-anchor="end">%s</text>', self::LEFT - 6, $y + 4, number_format($value));
        }
        for ($second = 0; $second <= $this->length; $second++) {
            $x = $this->x($this->diary->start + $second);
            $parts[] = sprintf('<line class="axis" x1="%s" y1="%d" x2="%s" y2="%d"/>', $x, self::BOTTOM, $x, self::BOTTOM + 5);
            $parts[] = sprintf('<text class="soft" x="%s" y="%d" text-anchor="middle">%d</text>', $x, self::BOTTOM + 18, $second);
        }
        $parts[] = sprintf('<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>', self::LEFT, self::BOTTOM, self::RIGHT, self::BOTTOM);
        $parts[] = sprintf('<text class="soft" x="%d" y="378" text-anchor="middle">seconds since the start</text>', (self::LEFT + self::RIGHT) / 2);
        $parts[] = sprintf('<text class="soft" transform="translate(14 %d) rotate(-90)" text-anchor="middle">operations per second</text>', (self::TOP + self::BOTTOM) / 2);
        foreach ($this->result->acts as $act) {
            $parts[] = sprintf('<text class="soft" x="%s" y="38">%s</text>', $this->x($act->from), Page::text($act->title));
        }

        return $parts;
    }

    /** @return list<string> who is the primary, as a band below the time axis */
    private function reigns(): array
    {
        $parts = [];
        $y = self::BOTTOM + 28;
        foreach ($this->diary->reigns as $reign) {
            $from = $this->x($reign['from']);
            $width = round($this->x($reign['until']) - $from, 2);
            if ($reign['node'] === null) {
                $parts[] = sprintf('<rect class="none" x="%s" y="%d" width="%s" height="%d"/>', $from, self::TOP, $width, $y + 24 - self::TOP);
                $words = 'no primary';
            } else {
                $parts[] = sprintf('<rect class="reign" x="%s" y="%d" width="%s" height="24"/>', $from, $y, $width);
                $words = "primary: {$reign['node']}";
            }
            $parts[] = sprintf('<text x="%s" y="%d" text-anchor="middle">%s</text>', $from + $width / 2, $y + 16, Page::text($words));
        }

        return $parts;
    }

    /** @return list<string> */
    private function bars(): array
    {
        $parts = [];
        $width = round((self::RIGHT - self::LEFT) * 0.1 / $this->length - 1, 2);
        foreach ($this->bins() as $bin) {
            if ($bin['operations'] > 0) {
                $y = $this->y($bin['operations'] * 10);
                $parts[] = sprintf(
                    '<rect class="bar" x="%s" y="%s" width="%s" height="%s"><title>%.1f s: %d operations in 0.1 s</title></rect>',
                    $this->x($bin['at']),
                    $y,
                    $width,
                    round(self::BOTTOM - $y, 2),
                    $bin['at'] - $this->diary->start,
                    $bin['operations'],
                );
            }
        }

        return $parts;
    }

    /** @return list<string> */
    private function pauses(): array
    {
        $parts = [];
        foreach ($this->bins() as $bin) {
            if ($bin['pause'] < self::WORTH_DRAWING || $bin['pauseFrom'] < $this->diary->start) {
                continue;
            }
            $from = $this->x($bin['pauseFrom']);
            $width = max(2.0, round($this->x($bin['pauseFrom'] + $bin['pause']) - $from, 2));
            $words = $bin['pause'] < 1 ? sprintf('%.0f ms', 1000 * $bin['pause']) : sprintf('%.2f s', $bin['pause']);
            $parts[] = sprintf('<rect class="pause" x="%s" y="%d" width="%s" height="8"><title>pause of %s</title></rect>', $from, self::BOTTOM - 8, $width, $words);
            if ($width > 40) {
                $parts[] = sprintf('<text x="%s" y="%d" text-anchor="middle">pause: %s</text>', $from + $width / 2, self::BOTTOM - 14, $words);
            }
        }

        return $parts;
    }

    /** @return list<string> numbered lines; where they stand close together their numbers spread over two rows and aside */
    private function events(): array
    {
        $parts = [];
        $free = [0.0, 0.0];
        foreach ($this->diary->marks as $number => $mark) {
            $class = match ($mark['kind']) {
                'killed', 'demoted' => 'bad-line',
                'promoted', 'restarted' => 'good-line',
                default => 'client-line',
            };
            $x = $this->x($mark['at']);
            $row = $free[0] <= $x - 10 || $free[0] <= $free[1] ? 0 : 1;
            $badge = max($x, $free[$row] + 10);
            $free[$row] = $badge + 10;
            $y = 56 + 21 * $row - 3;
            $parts[] = sprintf('<path class="%s" fill="none" d="M%s %d L%s %d L%s %d"/>', $class, $badge, $y, $x, self::TOP + 14, $x, self::BOTTOM);
            $parts[] = sprintf('<circle class="badge" cx="%s" cy="%d" r="9"/>', $badge, $y);
            $parts[] = sprintf('<text class="mark" x="%s" y="%d">%d</text>', $badge, $y + 4, $number + 1);
        }

        return $parts;
    }

    /** @return list<string> */
    private function oddities(): array
    {
        $parts = [];
        foreach ($this->diary->odds as $odd) {
            $sign = ['failed' => '×', 'unknown' => '?', 'twice' => '2×', 'wrong' => '!'][$odd['kind']] ?? null;
            if ($sign !== null) {
                $parts[] = sprintf(
                    '<text class="mark" x="%s" y="%d">%s<title>%s</title></text>',
                    $this->x($odd['at']),
                    self::BOTTOM - 30,
                    $sign,
                    Page::text($odd['text']),
                );
            }
        }

        return $parts;
    }
}
