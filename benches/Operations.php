<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\RedisServer;

/** What is compared: the operations, their names for readers, and what has to be in the server for them. */
final class Operations
{
    /** The operation's name (what it reads is the key of that name), and how a table calls it. */
    public const ALL = [
        'get-32' => 'GET 32 B',
        'set-32' => 'SET 32 B',
        'incr' => 'INCR',
        'get-10k' => 'GET 10 KB',
        'get-64k' => 'GET 64 KB',
        'get-512k' => 'GET 512 KB',
        'get-4m' => 'GET 4 MB',
        'mget-100' => 'MGET 100',
        'hgetall-1000' => 'HGETALL 1,000',
        'lrange-10000' => 'LRANGE 10,000',
        'zrange-1000' => 'ZRANGE WITHSCORES 1,000',
        'xrange-1000' => 'XRANGE 1,000',
        'pipeline-100' => 'pipeline of 100 GET',
        'pipeline-1000' => 'pipeline of 1,000 GET',
        'pipeline-10000' => 'pipeline of 10,000 GET',
        'transaction' => 'transaction of 3',
    ];

    /** How often for a count: the more, the less a single late reply matters. */
    public static function times(string $operation): int
    {
        return match (true) {
            in_array($operation, ['get-32', 'set-32', 'incr', 'get-10k'], true) => 2000,
            $operation === 'transaction', $operation === 'mget-100' => 500,
            $operation === 'get-4m', $operation === 'pipeline-10000' => 3,
            $operation === 'lrange-10000' => 10,
            default => 50,
        };
    }

    public static function fill(RedisServer $server): void
    {
        foreach (['32' => 32, '10k' => 10 << 10, '64k' => 64 << 10, '512k' => 512 << 10, '4m' => 4 << 20] as $name => $size) {
            $server->command('SET', "get-$name", str_repeat('v', $size));
        }
        $numbers = static fn (int $count): array => range(1, $count);
        $server->command('MSET', ...array_merge(...array_map(static fn (int $i): array => ["many:$i", sprintf('value %026d', $i)], $numbers(100))));
        $server->command('HSET', 'hgetall-1000', ...array_merge(...array_map(static fn (int $i): array => ["f$i", "v$i"], $numbers(1000))));
        $server->command('RPUSH', 'lrange-10000', ...array_map(static fn (int $i): string => "element $i", $numbers(10000)));
        $server->command('ZADD', 'zrange-1000', ...array_merge(...array_map(static fn (int $i): array => [$i / 4, "member $i"], $numbers(1000))));
        foreach ($numbers(1000) as $i) {
            $server->command('XADD', 'xrange-1000', "$i-1", 'field', "value $i", 'other', "value $i");
        }
    }
}
