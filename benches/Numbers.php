<?php

declare(strict_types=1);

namespace Benches;

/** Numbers as tables show them: with two digits that mean something, or whole. */
final class Numbers
{
    public static function short(float|int $number): string
    {
        return match (true) {
            $number >= 100 => number_format($number),
            $number >= 10 => number_format($number, 1),
            default => number_format($number, 2),
        };
    }

    /** Instructions: with three digits from ten thousand up. */
    public static function count(float $number): string
    {
        return match (true) {
            $number >= 10e6 => number_format($number / 1e6, 1) . ' M',
            $number >= 1e6 => number_format($number / 1e6, 2) . ' M',
            $number >= 10e3 => number_format($number / 1e3, 1) . ' k',
            default => number_format($number),
        };
    }

    /** A count per operation: whole where it is that but for a stray one. */
    public static function rounded(float $number): string
    {
        return abs($number - round($number)) < 0.02 ? (string) (int) round($number) : number_format($number, 2);
    }

    /** @param non-empty-list<float|int> $values */
    public static function percentile(array $values, float $part): float
    {
        sort($values);

        return (float) $values[(int) round($part * (count($values) - 1))];
    }
}
