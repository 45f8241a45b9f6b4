<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\RedisServer;
use Tests\Support\ScriptedServer;

/** The server executes a command, and its reply is lost with the connection. */
final class Replies
{
    private const INCR = 18;
    private const GET = 9;

    /** @return list<Scenario> */
    public static function scenarios(): array
    {
        return [
            new Scenario('replies-lost', 'reply lost 27 times (18 INCR, 9 GET)', ['failed' => 0, 'unknown_get' => 0, 'untold_incr' => 0, 'duplicates' => 0], self::lost(...)),
            new Scenario('set-nx-lost', 'reply to SET NX lost 18 times', ['failed' => 0, 'wrong_not_set' => 0], self::notSet(...)),
        ];
    }

    /** @return array<string, float|int> */
    private static function lost(string $client): array
    {
        $server = RedisServer::start();
        $rule = static fn (string $command, int $times): array => ['command' => $command, 'fault' => 'lose', 'times' => $times, 'every' => 3];
        $proxy = ScriptedServer::following($server, [$rule('INCR', self::INCR), $rule('GET', self::GET)]);
        try {
            $run = (new Run($client, $proxy->endpoint(), 2.0, [], ['incr', 'get']))->finish();

            return [
                'failed' => $run->count('failed'),
                'unknown_incr' => $run->count('unknown', 'incr'),
                'unknown_get' => $run->count('unknown', 'get'),
                // Increments whose lost reply nobody was told of.
                'untold_incr' => self::INCR - $run->count('unknown', 'incr'),
            ] + $run->compareWith($server->connect());
        } finally {
            $proxy->stop();
            $server->kill();
        }
    }

    /** @return array<string, float|int> */
    private static function notSet(string $client): array
    {
        $server = RedisServer::start();
        $proxy = ScriptedServer::following($server, [['command' => 'SET', 'fault' => 'lose', 'times' => self::INCR, 'every' => 3]]);
        try {
            $run = (new Run($client, $proxy->endpoint(), 1.0, [], ['setnx']))->finish();

            return ['failed' => $run->count('failed'), 'unknown' => $run->count('unknown'), 'wrong_not_set' => $run->count('wrong')];
        } finally {
            $proxy->stop();
            $server->kill();
        }
    }
}
