<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\Process;
use Tests\Support\Scratch;

/**
 * What an operation takes, as the difference between a process that does it often and one that does it seldom: start and end
 * of the process fall out. Counts do not depend on what else the machine does.
 */
final class Counting
{
    /** Enough for buffers to have grown. */
    private const FEW = 10;

    /**
     * Instructions in user space, by valgrind's callgrind.
     *
     * @param array<string, array{list<string>, list<string>, int}> $jobs by name: see pair()
     * @return array<string, float>
     */
    public static function instructions(array $jobs): array
    {
        return self::differences($jobs, static fn (array $command): array => [...self::callgrind(), ...$command], self::collected(...));
    }

    /**
     * System calls, by strace.
     *
     * @param array<string, array{list<string>, list<string>, int}> $jobs
     * @return array<string, float>
     */
    public static function systemCalls(array $jobs): array
    {
        return self::differences(
            $jobs,
            static fn (array $command): array => ['strace', '-f', '-c', '-o', Scratch::folder('strace') . '/report', ...$command],
            static function (Process $process, array $command): int {
                $report = (string) file_get_contents($command[4]);
                preg_match('/^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total$/m', $report, $found);

                return (int) ($found[1] ?? throw new \RuntimeException("strace said nothing:\n$report"));
            },
        );
    }

    /**
     * A worker that does an operation seldom, one that does it often, and by how much they differ.
     *
     * @return array{list<string>, list<string>, int}
     */
    public static function pair(string $client, Place $place, string $operation): array
    {
        $more = Operations::times($operation);
        $few = $more > self::FEW ? self::FEW : 1;

        return [Clients::worker($client, $place, $operation, $few), Clients::worker($client, $place, $operation, $few + $more), $more];
    }

    /**
     * Instructions of whole programs, their start and end included.
     *
     * @param list<string> $command
     */
    public static function instructionsOf(array $command): int
    {
        return self::collected(self::ended([...self::callgrind(), ...$command]));
    }

    /** @return list<string> */
    private static function callgrind(): array
    {
        return ['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null'];
    }

    private static function collected(Process $process): int
    {
        preg_match('/Collected : (\d+)/', $process->errors(), $found);

        return (int) ($found[1] ?? throw new \RuntimeException("callgrind said nothing:\n" . $process->errors()));
    }

    /**
     * @param array<string, array{list<string>, list<string>, int}> $jobs
     * @param \Closure(list<string>): list<string> $measured the command under the tool that counts
     * @param \Closure(Process, list<string>): int $read
     * @return array<string, float>
     */
    private static function differences(array $jobs, \Closure $measured, \Closure $read): array
    {
        $differences = [];
        foreach ($jobs as $name => [$few, $many, $more]) {
            // Side by side: a second processor halves the wait, and a count stays what it is.
            $commands = [$measured($few), $measured($many)];
            $processes = array_map(static fn (array $command): Process => new Process($command), $commands);
            $counts = [];
            foreach ($processes as $i => $process) {
                self::checked($process);
                $counts[] = $read($process, $commands[$i]);
                $process->stop();
            }
            $differences[$name] = ($counts[1] - $counts[0]) / $more;
        }

        return $differences;
    }

    /** @param list<string> $command */
    private static function ended(array $command): Process
    {
        return self::checked(new Process($command));
    }

    private static function checked(Process $process): Process
    {
        if ($process->wait(120.0) !== 0) {
            throw new \RuntimeException($process->describe() . " failed:\n" . $process->output() . $process->errors());
        }

        return $process;
    }
}
