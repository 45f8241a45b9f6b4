<?php

declare(strict_types=1);

namespace Benches;

/**
 * CPU and time of an operation beside phpredis: all clients stand ready, and in every round each does a batch, in an order that
 * is drawn anew. What counts is the ratio within the round, so that what else the machine does befalls all of them.
 */
final class Speed
{
    private const MEASURE = 'phpredis';

    /**
     * @param list<string>|null $clients all, if none are named
     * @return array<string, array{cpu: float, wall: float, peak: int}> by client: median ratios, and the most memory in KB
     */
    public static function compare(string $operation, Place $place, int $rounds, ?array $clients = null): array
    {
        $workers = [];
        foreach ($clients ?? array_keys(Clients::ALL) as $client) {
            if (Clients::can($client, $operation, $place->scheme)) {
                $workers[$client] = new RunningWorker(Clients::worker($client, $place, $operation));
            }
        }
        $ratios = [];
        $peaks = [];
        for ($round = 0; $round < $rounds; $round++) {
            $order = array_keys($workers);
            shuffle($order);
            $seen = [];
            foreach ($order as $client) {
                $seen[$client] = $workers[$client]->round();
            }
            foreach ($seen as $client => $measured) {
                foreach (['cpu', 'wall'] as $figure) {
                    $ratios[$client][$figure][] = $measured[$figure] / max(1e-3, $seen[self::MEASURE][$figure]);
                }
                $peaks[$client] = $measured['peak'];
            }
        }
        $result = [];
        foreach ($workers as $client => $worker) {
            $worker->end();
            $result[$client] = [
                'cpu' => self::median($ratios[$client]['cpu']), 'wall' => self::median($ratios[$client]['wall']), 'peak' => $peaks[$client],
            ];
        }

        return $result;
    }

    /** @param non-empty-list<float|int> $values */
    public static function median(array $values): float
    {
        sort($values);
        $middle = intdiv(count($values), 2);

        return count($values) % 2 === 1 ? (float) $values[$middle] : ($values[$middle - 1] + $values[$middle]) / 2;
    }
}
