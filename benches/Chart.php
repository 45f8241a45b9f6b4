<?php

declare(strict_types=1);

namespace Benches;

/** Charts as SVG, on logarithmic axes: ratios as dots in rows, and what grows as lines. Readable on light and on dark pages. */
final class Chart
{
    private const COLOURS = ['resilient' => '#c2410c', 'phpredis' => '#2563eb', 'predis' => '#7c3aed', 'hiredis' => '#0f766e'];
    private const WIDTH = 860;
    private const ROW = 24;

    /**
     * A row for each operation with a dot for each client.
     *
     * @param array<string, array<string, float>> $rows ratios by label and client
     */
    public static function dots(string $title, array $rows): string
    {
        $all = array_merge(...array_map(array_values(...), array_values($rows)));
        [$least, $most] = [log10(min($all)) - 0.05, log10(max($all)) + 0.05];
        $left = 210;
        $x = static fn (float $ratio): float => $left + (self::WIDTH - $left - 20) * (log10($ratio) - $least) / ($most - $least);
        $height = self::ROW * (count($rows) + 3);
        $svg = self::text(10, 18, $title, 'bold') . self::legend(Clients::ALL, $left, 40);
        foreach ([0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 3, 5, 7, 10, 20] as $tick) {
            if (log10($tick) >= $least && log10($tick) <= $most) {
                $svg .= sprintf('<line x1="%1$.1f" x2="%1$.1f" y1="52" y2="%2$d" stroke="#888" stroke-width="%3$s"/>', $x($tick), $height - 20, $tick === 1 ? '1.5' : '0.3');
                $svg .= self::text($x($tick), $height - 6, (string) $tick, 'middle');
            }
        }
        $y = 52 + self::ROW / 2;
        foreach ($rows as $label => $ratios) {
            $svg .= self::text($left - 12, $y + 4, $label, 'end');
            foreach (array_reverse($ratios) as $client => $ratio) {
                $svg .= sprintf('<circle cx="%.1f" cy="%.1f" r="5.5" fill="%s"/>', $x($ratio), $y, self::COLOURS[$client]);
            }
            $y += self::ROW;
        }

        return self::svg($height, $svg);
    }

    /**
     * Lines of what grows with what.
     *
     * @param array<string, array<int, float>> $lines by name, the values by how many
     */
    public static function lines(string $title, string $across, array $lines, int $height = 320): string
    {
        $many = array_merge(...array_map(array_keys(...), array_values($lines)));
        $values = array_merge(...array_map(array_values(...), array_values($lines)));
        [$fromX, $toX] = [log10(min($many)), log10(max($many))];
        [$fromY, $toY] = [floor(log10(min($values)) * 2) / 2, ceil(log10(max($values)) * 2) / 2];
        $x = static fn (float $many): float => 70 + (self::WIDTH - 100) * (log10($many) - $fromX) / max(1e-9, $toX - $fromX);
        $y = static fn (float $value): float => $height - 50 - ($height - 110) * (log10($value) - $fromY) / max(1e-9, $toY - $fromY);
        $names = array_combine(array_keys($lines), array_keys($lines));
        $svg = self::text(10, 18, $title, 'bold') . self::legend($names, 70, 40) . self::text(self::WIDTH / 2, $height - 8, $across, 'middle');
        for ($power = (int) ceil($fromX); $power <= $toX; $power++) {
            $svg .= self::text($x(10 ** $power), $height - 28, number_format(10 ** $power), 'middle');
        }
        for ($power = (int) ceil($fromY); $power <= $toY; $power++) {
            $svg .= sprintf('<line x1="70" x2="%d" y1="%2$.1f" y2="%2$.1f" stroke="#888" stroke-width="0.3"/>', self::WIDTH - 30, $y(10 ** $power));
            $svg .= self::text(62, $y(10 ** $power) + 4, $power < 0 ? (string) (10 ** $power) : number_format(10 ** $power), 'end');
        }
        foreach (array_values($lines) as $number => $points) {
            $colour = array_values(self::COLOURS)[$number];
            $drawn = implode(' ', array_map(static fn (int $many, float $value): string => sprintf('%.1f,%.1f', $x($many), $y($value)), array_keys($points), $points));
            $svg .= "<polyline points=\"$drawn\" fill=\"none\" stroke=\"$colour\" stroke-width=\"2\"/>";
            foreach ($points as $one => $value) {
                $svg .= sprintf('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>', $x($one), $y($value), $colour);
            }
        }

        return self::svg($height, $svg);
    }

    /** @param array<string, string> $names */
    private static function legend(array $names, float $x, float $y): string
    {
        $svg = '';
        foreach (array_values($names) as $number => $name) {
            $svg .= sprintf('<circle cx="%.1f" cy="%.1f" r="5.5" fill="%s"/>', $x, $y - 4, array_values(self::COLOURS)[$number]) . self::text($x + 10, $y, $name);
            $x += 40 + 7 * strlen($name);
        }

        return $svg;
    }

    private static function text(float $x, float $y, string $text, string $how = ''): string
    {
        $style = match ($how) {
            'bold' => ' font-weight="bold"',
            '' => '',
            default => " text-anchor=\"$how\"",
        };

        return sprintf('<text x="%.1f" y="%.1f"%s>%s</text>', $x, $y, $style, htmlspecialchars($text));
    }

    private static function svg(int $height, string $content): string
    {
        $width = self::WIDTH;
        $content = str_replace(['<circle', '<line', '<text', '<polyline'], ["\n<circle", "\n<line", "\n<text", "\n<polyline"], $content);

        return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"$width\" height=\"$height\" viewBox=\"0 0 $width $height\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#777\">$content\n</svg>\n";
    }
}
