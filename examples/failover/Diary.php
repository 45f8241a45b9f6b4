<?php

declare(strict_types=1);

namespace FailoverDemo;

/**
 * All that is known about the run: what the workload wrote down and what was done to the servers. Times are the monotonic
 * clock's, as they come; who shows them subtracts `$start`.
 */
final class Diary
{
    /** @var list<array<string, mixed>> */
    public array $bins = [];

    /** @var list<array{at: float, kind: string, text: string}> in the order of their times */
    public array $marks = [];

    /** @var list<array{at: float, kind: string, count: int, text: string}> */
    public array $odds = [];

    /** @var list<array{from: float, until: float, node: string|null}> who is the primary, by what was done to the servers */
    public array $reigns = [];

    public ?int $acknowledged = null;

    public function __construct(public readonly float $start)
    {
    }

    /** @param array<string, mixed> $line what the workload wrote */
    public function add(array $line): void
    {
        switch ($line['type']) {
            case 'bin':
                $this->bins[] = $line;
                break;
            case 'odd':
                $this->odds[] = ['at' => (float) $line['at'], 'kind' => $line['kind'], 'count' => $line['count'], 'text' => $line['text']];
                break;
            case 'event':
                $this->mark($line['event'], self::eventText($line['event'], $line['details']), (float) $line['at']);
                break;
            case 'end':
                $this->acknowledged = $line['acknowledged'];
                break;
        }
    }

    public function mark(string $kind, string $text, float $at): void
    {
        $this->marks[] = ['at' => $at, 'kind' => $kind, 'text' => $text];
        usort($this->marks, static fn (array $a, array $b): int => $a['at'] <=> $b['at']);
    }

    /** From now on this node is the primary; null: there is none. */
    public function reign(?string $node, float $at): void
    {
        if ($this->reigns !== []) {
            $this->reigns[array_key_last($this->reigns)]['until'] = $at;
        }
        $this->reigns[] = ['from' => $at, 'until' => INF, 'node' => $node];
    }

    public function primaryAt(float $time): ?string
    {
        foreach ($this->reigns as $reign) {
            if ($time >= $reign['from'] && $time < $reign['until']) {
                return $reign['node'];
            }
        }

        return null;
    }

    /** @return list<array<string, mixed>> */
    public function binsBetween(float $from, float $until): array
    {
        return array_values(array_filter(
            $this->bins,
            static fn (array $bin): bool => $bin['at'] >= $from && $bin['at'] < $until,
        ));
    }

    public function odd(string $kind, float $from, float $until): int
    {
        $sum = 0;
        foreach ($this->odds as $odd) {
            if ($odd['kind'] === $kind && $odd['at'] >= $from && $odd['at'] < $until) {
                $sum += $odd['count'];
            }
        }

        return $sum;
    }

    /** When the first write was acknowledged at or after a moment. */
    public function firstWriteSince(float $moment): ?float
    {
        foreach ($this->bins as $bin) {
            foreach ($bin['writes'] as $write) {
                if ($write >= $moment) {
                    return $write;
                }
            }
        }

        return null;
    }

    /** @param array<string, mixed> $details */
    private static function eventText(string $event, array $details): string
    {
        return match ($event) {
            'failover.started' => sprintf('client: lost %s as its primary (%s)', $details['node'] ?? '?', $details['cause'] ?? '?'),
            'failover.completed' => sprintf(
                'client: writes go to %s now, after a search of %.0f ms',
                $details['to'] ?? '?',
                1000 * (float) ($details['duration'] ?? 0),
            ),
            default => "client: $event",
        };
    }
}
