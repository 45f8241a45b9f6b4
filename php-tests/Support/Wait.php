<?php

declare(strict_types=1);

namespace Tests\Support;

/** Waits for a condition instead of for a time. */
final class Wait
{
    /**
     * Returns the first value of `$condition` that is neither null nor false.
     *
     * @template T
     * @param callable(): (T|null|false) $condition
     * @return T
     */
    public static function until(string $what, callable $condition, float $seconds = 10.0): mixed
    {
        $end = self::now() + $seconds;
        do {
            $value = $condition();
            if ($value !== null && $value !== false) {
                return $value;
            }
            usleep(2_000);
        } while (self::now() < $end);

        throw new \RuntimeException(sprintf('waited %.1f s in vain until %s', $seconds, $what));
    }

    /** Seconds of a clock that is never set. */
    public static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
