<?php

declare(strict_types=1);

namespace FailoverDemo;

/** What the user sees while it happens: a line each quarter of a second, and the events between them. */
final class Screen
{
    private const STEP = 0.25;

    /** The workload tells of a tenth of a second when it is over; so the screen is a little behind. */
    private const BEHIND = 0.15;

    private float $shownUpTo;

    private int $marksShown = 0;

    private int $oddsShown = 0;

    private readonly bool $colours;

    public function __construct(private readonly Diary $diary)
    {
        $this->shownUpTo = $diary->start;
        $this->colours = stream_isatty(STDOUT) && getenv('NO_COLOR') === false;
    }

    public function heading(): void
    {
        printf("\n%8s  %-16s %8s %14s %7s %8s\n", 'time', 'primary', 'ops/s', 'longest pause', 'failed', 'unknown');
    }

    /** Shows what has become known until now. */
    public function refresh(float $now): void
    {
        while ($this->shownUpTo + self::STEP + self::BEHIND <= $now) {
            $from = $this->shownUpTo;
            $until = $from + self::STEP;
            $this->marksUntil($until);
            $this->line($from, $until);
            $this->shownUpTo = $until;
        }
    }

    /** Shows the rest: nothing more will become known. */
    public function finish(float $end): void
    {
        $this->refresh($end + self::BEHIND);
        $this->marksUntil(INF);
    }

    private function highlight(string $kind, string $text): void
    {
        $colour = match ($kind) {
            'killed', 'demoted', 'failed', 'twice', 'wrong' => '1;31',
            'promoted', 'failover.completed' => '1;32',
            'lost', 'unknown', 'failover.started' => '1;33',
            default => '1',
        };
        echo $this->colours ? "\e[{$colour}m$text\e[0m\n" : "$text\n";
    }

    private function line(float $from, float $until): void
    {
        $bins = $this->diary->binsBetween($from - 0.05, $until - 0.05);
        printf(
            "%6.2f s  %-16s %8s %11.1f ms %7d %8d\n",
            $until - $this->diary->start,
            $this->diary->primaryAt($until) ?? '(none)',
            number_format(array_sum(array_column($bins, 'operations')) / max(0.1, 0.1 * count($bins))),
            1000 * $this->pause($from, $until),
            array_sum(array_column($bins, 'failed')),
            array_sum(array_column($bins, 'unknown')),
        );
    }

    /** The longest pause that ended in this stretch of time, or has lasted up to its end. */
    private function pause(float $from, float $until): float
    {
        $longest = 0.0;
        $lastDone = $this->diary->start;
        foreach ($this->diary->bins as $bin) {
            $end = $bin['pauseFrom'] + $bin['pause'];
            if ($bin['pauseFrom'] < $until && $end >= $from) {
                $longest = max($longest, min($end, $until) - $bin['pauseFrom']);
            }
            $lastDone = max($lastDone, $bin['lastDone']);
        }

        return max($longest, $until - $lastDone);
    }

    /** The events and oddities up to a moment, in the order in which they happened. */
    private function marksUntil(float $until): void
    {
        $lines = [];
        for (; ($mark = $this->diary->marks[$this->marksShown] ?? null) && $mark['at'] <= $until; $this->marksShown++) {
            $lines[] = $mark + ['sign' => '--'];
        }
        for (; ($odd = $this->diary->odds[$this->oddsShown] ?? null) && $odd['at'] <= $until; $this->oddsShown++) {
            $lines[] = ['text' => self::oddWords($odd['kind']) . ": {$odd['text']}", 'sign' => '**'] + $odd;
        }
        usort($lines, static fn (array $a, array $b): int => $a['at'] <=> $b['at']);
        foreach ($lines as $line) {
            $this->highlight($line['kind'], sprintf('%6.3f s  %s %s', $line['at'] - $this->diary->start, $line['sign'], $line['text']));
        }
    }

    private static function oddWords(string $kind): string
    {
        return match ($kind) {
            'lost' => 'acknowledged write lost by the servers (replication is asynchronous)',
            'twice' => 'APPLIED TWICE',
            'wrong' => 'WRONG REPLY',
            'failed' => 'FAILED',
            'unknown' => 'outcome unknown',
            default => $kind,
        };
    }
}
