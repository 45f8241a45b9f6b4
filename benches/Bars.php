<?php

declare(strict_types=1);

namespace Benches;

/** What the project has set itself to be, and what it is. */
final class Bars
{
    /** By operation: the most CPU and the most instructions, beside phpredis. */
    private const BESIDE_PHPREDIS = [
        'get-32' => [0.85, 0.45], 'set-32' => [0.85, 0.45], 'incr' => [0.85, 0.45], 'mget-100' => [0.85, 0.60],
        'hgetall-1000' => [0.45, 0.38], 'lrange-10000' => [0.45, 0.38], 'pipeline-1000' => [0.50, 0.40],
        'zrange-1000' => [1.0, null], 'xrange-1000' => [1.0, null], 'transaction' => [1.0, null],
        'get-64k' => [0.60, null], 'get-512k' => [1.0, null], 'get-4m' => [1.0, null],
    ];

    /** By operation: the most CPU beside the C loop. */
    private const BESIDE_HIREDIS = ['get-32' => 1.05, 'set-32' => 1.05, 'hgetall-1000' => 0.6, 'lrange-10000' => 0.6, 'pipeline-1000' => 0.6];

    /** @param array<string, mixed> $measured */
    public static function section(array $measured): string
    {
        $rows = [];
        foreach (self::BESIDE_PHPREDIS as $operation => [$cpu, $instructions]) {
            $seen = $measured['speed']['tcp'][$operation];
            $counts = $measured['instructions']['tcp'][$operation];
            $hiredis = self::BESIDE_HIREDIS[$operation] ?? null;
            $rows[] = [
                Operations::ALL[$operation],
                self::against($seen['resilient']['cpu'], $cpu),
                self::against($counts['resilient'] / $counts['phpredis'], $instructions),
                self::against($seen['resilient']['cpu'] / $seen['hiredis']['cpu'], $hiredis),
            ];
        }
        $tls = $measured['speed']['tls']['get-32']['resilient']['cpu'];
        $counts = $measured['instructions']['tls']['get-32'];
        $rows[] = ['GET 32 B over TLS', self::against($tls, 1.0), self::against($counts['resilient'] / $counts['phpredis'], null), ''];

        return "## Against the bars\n\nThe ratio over TCP, and in brackets the most that it should be; what is above that is bold.\n\n"
            . Page::table(['', 'CPU beside phpredis', 'instructions beside phpredis', 'CPU beside the C loop'], $rows);
    }

    private static function against(float $ratio, ?float $bar): string
    {
        $shown = Numbers::short($ratio);

        return match (true) {
            $bar === null => $shown,
            // What is shown is what is judged.
            (float) $shown > $bar => "**$shown** ($bar)",
            default => "$shown ($bar)",
        };
    }
}
