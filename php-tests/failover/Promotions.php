<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\RedisServer;
use Tests\Support\ReplicaSet;

/** A primary is lost or demoted, and a replica is promoted. */
final class Promotions
{
    private const NAME = 'primary.' . Enclosure::DOMAIN;

    /** A user who may do everything but ask who is who: nothing is learned from the primary, and only DNS leads on. */
    private const BLIND = ['blind', 'on', '>secret', '~*', '&*', '+@all', '-info', '-role'];

    /** @return list<Scenario> */
    public static function scenarios(): array
    {
        $bars = ['failed' => 0, 'unknown_incr' => 1, 'unknown_set' => 0, 'duplicates' => 0, 'first_write_ms' => 50, 'dialed' => 250];

        return [
            new Scenario('killed-list', 'primary killed; the client has the list of nodes', $bars, self::killedWithList(...), peers: []),
            new Scenario('killed-endpoint', 'primary killed; the client has the primary endpoint, the replicas it learned', $bars, self::killedBehindName(...), enclosed: true),
            new Scenario('killed-dns', 'primary killed; only DNS leads to the promoted one', ['flip_to_write_ms' => 60] + array_diff_key($bars, ['first_write_ms' => 0]), self::killedWithDnsAlone(...), peers: [], enclosed: true),
            new Scenario('planned', 'planned failover: the primary becomes a replica', ['failed' => 0, 'unknown' => 0, 'duplicates' => 0, 'gap_ms' => 60, 'dialed' => 10], self::planned(...), enclosed: true),
            new Scenario('replica-dies', 'a replica dies under reads (`read_from` = replica)', ['failed' => 0, 'longest_ms' => 30], self::replicaDies(...), peers: []),
        ];
    }

    /** @return array<string, float|int> */
    private static function killedWithList(string $client): array
    {
        $set = ReplicaSet::start();
        try {
            $run = new Run($client, $set->endpoints(), 3.5);
            usleep(1_000_000);
            $promoted = self::kill($set);

            return self::figures($run->finish(), $set->replica(0), $promoted);
        } finally {
            $set->stop();
        }
    }

    /** @return array<string, float|int> */
    private static function killedBehindName(string $client): array
    {
        return self::behindName($client, self::kill(...));
    }

    /** @return array<string, float|int> */
    private static function killedWithDnsAlone(string $client): array
    {
        return self::behindName($client, self::kill(...), blind: true);
    }

    /** @return array<string, float|int> */
    private static function planned(string $client): array
    {
        return self::behindName($client, static fn (ReplicaSet $set): float => $set->promote($set->replica(0)));
    }

    /** Kills the primary, and promotes a replica one second later; returns the moment of that. */
    private static function kill(ReplicaSet $set): float
    {
        $set->primary()->kill();
        usleep(1_000_000);

        return $set->promote($set->replica(0));
    }

    /**
     * The client knows the primary by a name, which leads to the promoted one a second after the promotion.
     *
     * @param \Closure(ReplicaSet): float $failover makes the fault and promotes the first replica; returns the moment of that
     * @return array<string, float|int>
     */
    private static function behindName(string $client, \Closure $failover, bool $blind = false): array
    {
        $set = ReplicaSet::start(hosts: Enclosure::ADDRESSES);
        $names = new NameServer([self::NAME => [$set->primary()->host]]);
        try {
            $options = [];
            if ($blind && $client === 'resilient') {
                foreach ($set->nodes as $node) {
                    $node->command('ACL', 'SETUSER', ...self::BLIND);
                }
                $options = ['username' => 'blind', 'password' => 'secret'];
            }
            $run = new Run($client, 'tcp://' . self::NAME . ':6379', 4.5, $options);
            usleep(1_000_000);
            $promoted = $failover($set);
            usleep(1_000_000);
            $flipped = $names->set(self::NAME, $set->replica(0)->host);
            $figures = self::figures($run->finish(), $set->replica(0), $promoted);

            return $figures + ['flip_to_write_ms' => 1e3 * $run->firstWriteAfter($flipped), 'queries' => $names->queries()];
        } finally {
            $names->stop();
            $set->stop();
        }
    }

    /** @return array<string, float|int> */
    private static function replicaDies(string $client): array
    {
        $set = ReplicaSet::start();
        try {
            $run = new Run($client, $set->endpoints(), 2.5, ['read_from' => 'replica'], ['get']);
            usleep(1_000_000);
            $reads = $set->replica(0)->calls('get');
            $set->replica(0)->kill();
            $run->finish();

            return [
                'failed' => $run->count('failed') + $run->count('unknown'),
                'longest_ms' => 1e3 * $run->longest(),
                // Whether it was read from at all before it died.
                'reads_before' => $reads,
                'reads_at_primary' => $set->primary()->calls('get'),
            ];
        } finally {
            $set->stop();
        }
    }

    /** @return array<string, float|int> */
    public static function figures(Run $run, RedisServer $survivor, float $promoted): array
    {
        $server = $survivor->connect();

        return [
            'failed' => $run->count('failed'),
            'failed_incr' => $run->count('failed', 'incr'),
            'failed_set' => $run->count('failed', 'set'),
            'failed_get' => $run->count('failed', 'get'),
            'unknown' => $run->count('unknown'),
            'unknown_incr' => $run->count('unknown', 'incr'),
            'unknown_set' => $run->count('unknown', 'set', 'get'),
            'first_write_ms' => 1e3 * $run->firstWriteAfter($promoted),
            'gap_ms' => 1e3 * $run->writeGap(),
            'longest_ms' => 1e3 * $run->longest(),
            'beyond_promotion_ms' => 1e3 * $run->outlasted($promoted),
        ] + $run->dialed() + $run->compareWith($server);
    }
}
