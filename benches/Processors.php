<?php

declare(strict_types=1);

namespace Benches;

/**
 * Where server and client run: each on a processor of its own, where there are two. Left to itself the kernel puts the pair
 * together or apart as it happens, and what a wake-up costs then differs by more than what the clients do.
 */
final class Processors
{
    /** @return list<string> what stands before a client's command line */
    public static function client(): array
    {
        return self::two() ? ['taskset', '--cpu-list', '1'] : [];
    }

    public static function keepServer(int $pid): void
    {
        self::keep($pid, 0);
    }

    public static function keepClient(int $pid): void
    {
        self::keep($pid, 1);
    }

    private static function keep(int $pid, int $processor): void
    {
        if (self::two()) {
            exec("taskset --all-tasks --cpu-list --pid $processor $pid", result_code: $status);
            $status === 0 || throw new \RuntimeException("process $pid cannot be kept on processor $processor");
        }
    }

    private static function two(): bool
    {
        return preg_match_all('/^processor\s/m', (string) file_get_contents('/proc/cpuinfo')) > 1;
    }
}
