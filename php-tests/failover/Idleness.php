<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\RedisServer;

/** An idle connection ends while nobody looks. */
final class Idleness
{
    /** Idle for longer than a connection is trusted without a question. */
    private const LONG = 5.5;

    private const OPERATIONS = ['incr', 'incr', 'incr', 'incr', 'reconnect'];

    /** @return list<Scenario> */
    public static function scenarios(): array
    {
        $bars = ['failed' => 0, 'unknown' => 0, 'duplicates' => 0, 'over_reconnect_ms' => 5];

        return [
            new Scenario('idle-fin', 'idle connection closed by the server', $bars, self::closed(...)),
            new Scenario('idle-no-fin', 'idle connection gone without a FIN (a gateway forgot it)', $bars, self::forgotten(...), peers: [], enclosed: true),
        ];
    }

    /** @return array<string, float|int> */
    private static function closed(string $client): array
    {
        $server = RedisServer::start();
        try {
            // Operation 3 comes after a pause in which the connection is closed; operation 0 to 2 are as usual.
            $run = new Run($client, $server->endpoint(), 2.5, [], self::OPERATIONS, pauses: [2 => 1.5]);
            usleep(700_000);
            $server->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

            return self::figures($run->finish(), $server);
        } finally {
            $server->kill();
        }
    }

    /** @return array<string, float|int> */
    private static function forgotten(string $client): array
    {
        $server = RedisServer::start([], Enclosure::ADDRESSES[0], 6379);
        try {
            $run = new Run($client, $server->endpoint(), self::LONG + 1.5, [], self::OPERATIONS, pauses: [2 => self::LONG]);
            usleep(700_000);
            Enclosure::muffle($server->host);
            $server->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
            usleep(500_000);
            Enclosure::restore();

            return self::figures($run->finish(), $server);
        } finally {
            Enclosure::restore();
            $server->kill();
        }
    }

    /** @return array<string, float|int> */
    private static function figures(Run $run, RedisServer $server): array
    {
        // What an operation takes that has to connect first and expects to, in the same process.
        $reconnect = $run->medianOf('reconnect');

        return [
            'failed' => $run->count('failed'),
            'unknown' => $run->count('unknown'),
            'over_reconnect_ms' => 1e3 * max(0.0, $run->took(3) - $reconnect),
            'reconnect_ms' => 1e3 * $reconnect,
        ] + $run->compareWith($server->connect());
    }
}
