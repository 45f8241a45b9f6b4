<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\FpmMaster;
use Tests\Support\RedisServer;
use Tests\Support\ReplicaSet;
use Tests\Support\Wait;

/** Many php-fpm workers meet the same failure. */
final class Workers
{
    /** @return list<Scenario> */
    public static function scenarios(): array
    {
        return [
            new Scenario(
                'fpm-50',
                '50 FPM workers, primary killed under load',
                // One searcher asks each node again on the same connection, about every 12 ms for a second.
                ['failed' => 0, 'unknown' => 0, 'slowest_worker_ms' => 100, 'probes_per_replica' => 200, 'connections_per_replica' => 10],
                self::fifty(...),
                peers: [],
            ),
            new Scenario(
                'fpm-down',
                'Redis down for good, 8 workers, 200 requests/s',
                ['open_p99_ms' => 2, 'slow_recovery_ms' => 1000, 'other_outcomes' => 0],
                self::down(...),
                peers: [],
            ),
        ];
    }

    /** @return array<string, float|int> */
    private static function fifty(string $client): array
    {
        $set = ReplicaSet::start();
        $master = FpmMaster::start(__DIR__ . '/requests', 50);
        try {
            $crowd = self::crowd($master, $set->endpoints(), 50, 1000.0);
            $crowd->visit(4.0);
            usleep(1_500_000);
            $set->primary()->kill();
            usleep(900_000);
            $connections = self::count($set, 'total_connections_received', 'stats');
            $probes = max($set->replica(0)->calls('hello'), $set->replica(1)->calls('hello'));
            usleep(100_000);
            $promoted = $set->promote($set->replica(0));
            $crowd->finish();

            $first = [];
            foreach ($crowd->log as [$worker, , $end, $outcome]) {
                if ($outcome === 'ok' && $end > $promoted) {
                    $first[$worker] ??= $end - $promoted;
                }
            }

            return [
                'workers' => count($first),
                'failed' => self::ended($crowd, static fn (string $outcome): bool => !in_array($outcome, ['ok', 'unknown'], true)),
                'unknown' => self::ended($crowd, static fn (string $outcome): bool => $outcome === 'unknown'),
                'slowest_worker_ms' => 1e3 * max($first),
                'probes_per_replica' => $probes,
                'connections_per_replica' => $connections,
            ];
        } finally {
            $master->stop();
            $set->stop();
        }
    }

    /** @return array<string, float|int> */
    private static function down(string $client): array
    {
        $server = RedisServer::start();
        $master = FpmMaster::start(__DIR__ . '/requests', 8);
        try {
            $crowd = self::crowd($master, $server->endpoint(), 8, 200.0);
            $crowd->visit(17.0);
            usleep(1_000_000);
            $server->kill();
            usleep(12_000_000);
            $server->restart();
            $returned = Wait::now();
            $crowd->finish();

            $open = [];
            $last = 0.0;
            $others = 0;
            foreach ($crowd->log as [, $start, $end, $outcome]) {
                if ($outcome === 'ResilientRedis\\CircuitOpenException') {
                    $last = max($last, $end - $returned);
                    // Those that waited from before it opened are of the time before.
                    $open[] = $end - $start;
                } elseif ($end > $returned + 1.0 && $outcome !== 'ok') {
                    $others++;
                }
            }
            // The first ones had waited since before the breaker opened.
            $opened = array_filter($open, static fn (float $took): bool => $took < 1.0);
            sort($opened);

            return [
                'open_answers' => count($opened),
                'open_p99_ms' => $opened === [] ? INF : 1e3 * $opened[(int) (0.99 * (count($opened) - 1))],
                'slow_recovery_ms' => 1e3 * max(0.0, $last),
                'other_outcomes' => $others,
            ];
        } finally {
            $master->stop();
            $server->kill();
        }
    }

    private static function crowd(FpmMaster $master, mixed $parameters, int $visitors, float $rate): Crowd
    {
        $query = ['parameters' => json_encode($parameters), 'options' => json_encode(Run::OPTIONS)];

        return new Crowd($master, $query, $visitors, $rate);
    }

    private static function count(ReplicaSet $set, string $field, string $section): int
    {
        return max((int) $set->replica(0)->info($section)[$field], (int) $set->replica(1)->info($section)[$field]);
    }

    /** @param \Closure(string): bool $which */
    private static function ended(Crowd $crowd, \Closure $which): int
    {
        return count(array_filter($crowd->log, static fn (array $entry): bool => $which($entry[3])));
    }
}
