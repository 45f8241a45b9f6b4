<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\ReplicaSet;

/** The old primary does not know that it is one no more, and takes writes for another second. */
final class SplitBrains
{
    /** @return list<Scenario> */
    public static function scenarios(): array
    {
        $bars = ['failed' => 0, 'duplicates' => 0];
        $fault = 'old primary accepts writes for 1 s after the promotion';

        return [
            new Scenario('split-brain', $fault, $bars + ['lost_set' => 10, 'lost_incr' => 10], static fn (string $client): array => self::split($client, []), peers: []),
            new Scenario(
                'split-brain-min-replicas',
                "$fault; `min_replicas` = 1",
                $bars + ['lost_set' => 0, 'lost_incr' => 0],
                static fn (string $client): array => self::split($client, ['min_replicas' => ['count' => 1, 'timeout' => 0.1]]),
                peers: [],
            ),
        ];
    }

    /**
     * @param array<string, mixed> $options
     * @return array<string, float|int>
     */
    private static function split(string $client, array $options): array
    {
        $set = ReplicaSet::start();
        try {
            $run = new Run($client, $set->primary()->endpoint(), 4.0, $options);
            usleep(1_000_000);
            $promoted = $set->promote($set->replica(0), $set->primary());
            usleep(1_000_000);
            $set->primary()->replicaOf($set->replica(0));

            return Promotions::figures($run->finish(), $set->replica(0), $promoted);
        } finally {
            $set->stop();
        }
    }
}
