<?php

declare(strict_types=1);

namespace FailoverDemo;

/** One act of the play: its figures, and the bar that it has to clear. */
final class Act
{
    /** From here on a write can only be acknowledged by the new primary. */
    public float $switchedAt = NAN;

    public float $until = INF;

    public function __construct(
        public readonly string $title,
        public readonly float $from,
        private readonly int $unknownAllowed,
        private readonly ?float $firstWriteWithin,
        private readonly ?float $pauseWithin,
    ) {
    }

    /**
     * @return array{operations: int, failed: int, unknown: int, pause: float, firstWrite: ?float, lost: int, twice: int, wrong: int}
     */
    public function figures(Diary $diary): array
    {
        $bins = $diary->binsBetween($this->from, $this->until);
        $firstWrite = $diary->firstWriteSince($this->switchedAt);

        return [
            'operations' => array_sum(array_column($bins, 'operations')),
            'failed' => array_sum(array_column($bins, 'failed')),
            'unknown' => array_sum(array_column($bins, 'unknown')),
            'pause' => max([0.0, ...array_column($bins, 'pause')]),
            'firstWrite' => $firstWrite === null ? null : $firstWrite - $this->switchedAt,
            'lost' => $diary->odd('lost', $this->from, $this->until),
            'twice' => $diary->odd('twice', $this->from, $this->until),
            'wrong' => $diary->odd('wrong', $this->from, $this->until),
        ];
    }

    /** @return list<string> the bars that were broken, in words */
    public function broken(Diary $diary): array
    {
        $figures = $this->figures($diary);
        $broken = [];
        foreach (['failed' => 'failed operations', 'twice' => 'increments applied twice', 'wrong' => 'wrong replies'] as $name => $words) {
            if ($figures[$name] !== 0) {
                $broken[] = "$this->title: {$figures[$name]} $words, where none is allowed";
            }
        }
        if ($figures['unknown'] > $this->unknownAllowed) {
            $broken[] = "$this->title: {$figures['unknown']} operations with unknown outcome, at most $this->unknownAllowed allowed";
        }
        if ($figures['firstWrite'] === null) {
            $broken[] = "$this->title: no write after the switch";
        } elseif ($this->firstWriteWithin !== null && $figures['firstWrite'] > $this->firstWriteWithin) {
            $broken[] = sprintf(
                '%s: first write %.1f ms after the switch, at most %.0f ms allowed',
                $this->title,
                1000 * $figures['firstWrite'],
                1000 * $this->firstWriteWithin,
            );
        }
        if ($this->pauseWithin !== null && $figures['pause'] > $this->pauseWithin) {
            $broken[] = sprintf(
                '%s: longest pause %.1f ms, at most %.0f ms allowed',
                $this->title,
                1000 * $figures['pause'],
                1000 * $this->pauseWithin,
            );
        }

        return $broken;
    }

    /**
     * The figures as a reader wants them.
     *
     * @return array<string, string>
     */
    public function rows(Diary $diary): array
    {
        $figures = $this->figures($diary);

        return [
            'operations' => number_format($figures['operations']),
            'failed' => (string) $figures['failed'],
            'outcome unknown' => "{$figures['unknown']} (allowed: $this->unknownAllowed)",
            'longest pause' => self::milliseconds($figures['pause'], $this->pauseWithin),
            'switch to first write' => $figures['firstWrite'] === null
                ? 'never' : self::milliseconds($figures['firstWrite'], $this->firstWriteWithin),
            'acknowledged, then lost by the servers' => (string) $figures['lost'],
            'applied twice' => (string) $figures['twice'],
            'wrong replies' => (string) $figures['wrong'],
        ];
    }

    private static function milliseconds(float $seconds, ?float $allowed): string
    {
        return sprintf('%.1f ms', 1000 * $seconds) . ($allowed === null ? '' : sprintf(' (allowed: %.0f)', 1000 * $allowed));
    }
}
