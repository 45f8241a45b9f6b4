<?php

declare(strict_types=1);

namespace Benches;

/** The page's tables of operations: CPU and time, instructions, system calls. */
final class SpeedTables
{
    private const HEAD = ['', 'ResilientRedis', 'phpredis', 'Predis', 'C loop on hiredis'];

    /** @param array<string, array<string, array<string, array<string, float|int>>>> $speed */
    public static function speed(array $speed, string $name): string
    {
        $page = "## CPU and time\n\n![CPU of each operation, phpredis = 1]($name.svg)\n\nCPU is that of the client's process, in user space and in the kernel; time is what passes until the operation is\n"
            . "done, the server's part included. The C loop makes no values of PHP. It answers what a client would cost that did nothing but the protocol.\n";
        foreach (['tcp' => 'Over TCP', 'unix' => 'Over a unix socket', 'tls' => 'Over TLS'] as $place => $title) {
            $rows = [];
            foreach (self::ordered($speed[$place]) as $operation => $clients) {
                $cells = array_map(static fn (array $figures): string => Numbers::short($figures['cpu']) . ' / ' . Numbers::short($figures['wall']), $clients);
                $rows[] = self::row($operation, ['phpredis' => '1'] + $cells);
            }
            $page .= "\n$title, CPU / time beside phpredis:\n\n" . Page::table(self::HEAD, $rows);
        }

        return $page;
    }

    /** @param array<string, array<string, array<string, float>>> $counts */
    public static function instructions(array $counts, string $name): string
    {
        return "## Instructions\n\nIn user space, an operation's share of a loop in PHP: counted by valgrind's callgrind, as the difference of a process that does it\n"
            . "often and one that does it seldom. In brackets its ratio to phpredis. Large copies count as an instruction a byte up to the point\n"
            . "where the C library copies in another way, whatever they cost.\n\n"
            . self::counted($counts, static fn (float $count, float $measure): string => Numbers::count($count) . ' (' . Numbers::short($count / $measure) . ')');
    }

    /** @param array<string, array<string, array<string, float>>> $counts */
    public static function calls(array $counts, string $name): string
    {
        return "## System calls\n\nOf an operation, counted by strace in the same way:\n\n"
            . self::counted($counts, static fn (float $count, float $measure): string => Numbers::short($count));
    }

    /**
     * @param array<string, array<string, array<string, float>>> $counts
     * @param \Closure(float, float): string $show
     */
    private static function counted(array $counts, \Closure $show): string
    {
        $rows = [];
        foreach (['tcp' => '', 'unix' => ', unix socket', 'tls' => ', TLS'] as $place => $suffix) {
            foreach (self::ordered($counts[$place]) as $operation => $clients) {
                $cells = array_map(static fn (float $count): string => $show($count, $clients['phpredis']), $clients);
                $rows[] = self::row($operation, $cells, $suffix);
            }
        }

        return Page::table(self::HEAD, $rows);
    }

    /**
     * @template T
     * @param array<string, T> $byOperation
     * @return array<string, T>
     */
    private static function ordered(array $byOperation): array
    {
        return array_merge(array_intersect_key(Operations::ALL, $byOperation), $byOperation);
    }

    /**
     * @param array<string, string> $cells by client
     * @return list<string>
     */
    private static function row(string $operation, array $cells, string $suffix = ''): array
    {
        return [Operations::ALL[$operation] . $suffix, ...array_map(static fn (string $client): string => $cells[$client] ?? '-', array_keys(Clients::ALL))];
    }
}
