<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\Extension;

/** Who is compared, and how a process of each is started. */
final class Clients
{
    public const ALL = ['resilient' => 'ResilientRedis', 'phpredis' => 'phpredis', 'predis' => 'Predis', 'hiredis' => 'C loop on hiredis'];

    /** Not every client can do everything: the C loop speaks no TLS, and Predis 1.1 has no method for streams. */
    public static function can(string $client, string $operation, string $scheme): bool
    {
        return !($client === 'hiredis' && $scheme === 'tls') && !($client === 'predis' && $operation === 'xrange-1000');
    }

    /** @return list<string> a worker's command line; with `$times` it does the operation so often and ends */
    public static function worker(string $client, Place $place, string $operation, ?int $times = null): array
    {
        $arguments = [(string) $place, $operation, ...($times === null ? [] : [(string) $times])];

        return $client === 'hiredis'
            ? [self::hiredis(), ...$arguments]
            : [...self::php($client), __DIR__ . '/worker.php', $client, ...$arguments];
    }

    /** @return list<string> PHP with the client's extensions and nothing else */
    public static function php(string $client): array
    {
        return [PHP_BINARY, '-n', ...array_merge(...array_map(static fn (string $file): array => ['-d', "extension=$file"], self::extensions($client)))];
    }

    /** @return list<string> */
    public static function extensions(string $client): array
    {
        return match ($client) {
            'resilient' => [Extension::path()],
            // Debian's phpredis calls igbinary's, which is a module of its own.
            'phpredis' => [...(is_file(ini_get('extension_dir') . '/igbinary.so') ? ['igbinary'] : []), self::phpRedis()],
            default => [],
        };
    }

    /** Debian's phpredis, or the one that `PHPREDIS_SO` names. */
    public static function phpRedis(): string
    {
        return getenv('PHPREDIS_SO') ?: ini_get('extension_dir') . '/redis.so';
    }

    /** The C loop; it is compiled once. */
    private static function hiredis(): string
    {
        static $program = null;
        if ($program === null) {
            $program = dirname(__DIR__) . '/build/bench_hiredis';
            is_dir(dirname($program)) || mkdir(dirname($program));
            passthru(sprintf('cc -O2 %s -o %s -lhiredis', escapeshellarg(__DIR__ . '/hiredis.c'), escapeshellarg($program)), $status);
            $status === 0 || throw new \RuntimeException('the C loop could not be compiled');
        }

        return $program;
    }
}
