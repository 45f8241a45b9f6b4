<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\ReplicaSet;

/** The primary goes without a word. */
final class Silences
{
    /** @return list<Scenario> */
    public static function scenarios(): array
    {
        $bars = ['failed' => 0, 'unknown_incr' => 1, 'unknown_set' => 0, 'duplicates' => 0, 'gap_ms' => 1150, 'beyond_promotion_ms' => 600];

        return [
            new Scenario('hangs', 'primary hangs (SIGSTOP), sockets stay open', $bars, self::hangs(...), peers: []),
            new Scenario('dropped', 'all packets of the primary are dropped', $bars, self::dropped(...), peers: [], enclosed: true),
        ];
    }

    /** @return array<string, float|int> */
    private static function hangs(string $client): array
    {
        $set = ReplicaSet::start();
        try {
            $run = new Run($client, $set->endpoints(), 4.0);
            usleep(1_000_000);
            $set->primary()->freeze();
            usleep(1_000_000);
            $promoted = $set->promote($set->replica(0), $set->primary());

            return Promotions::figures($run->finish(), $set->replica(0), $promoted);
        } finally {
            $set->stop();
        }
    }

    /** @return array<string, float|int> */
    private static function dropped(string $client): array
    {
        $set = ReplicaSet::start(hosts: Enclosure::ADDRESSES);
        try {
            $run = new Run($client, $set->endpoints(), 4.0);
            usleep(1_000_000);
            Enclosure::cutOff($set->primary()->host);
            usleep(1_000_000);
            $promoted = $set->promote($set->replica(0), $set->primary());

            return Promotions::figures($run->finish(), $set->replica(0), $promoted);
        } finally {
            Enclosure::restore();
            $set->stop();
        }
    }
}
