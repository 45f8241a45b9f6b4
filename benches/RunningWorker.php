<?php

declare(strict_types=1);

namespace Benches;

/** A worker process that does batches when it is told to. It ends when its input does. */
final class RunningWorker
{
    /** How long a batch should take: long against a switch of tasks, short against what else the machine does. */
    private const BATCH = 15_000;

    /** @var resource */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    private int $times;

    /** @param list<string> $command */
    public function __construct(private readonly array $command)
    {
        $process = proc_open([...Processors::client(), ...$command], [['pipe', 'r'], ['pipe', 'w']], $this->pipes);
        if ($process === false) {
            throw new \RuntimeException('cannot start ' . implode(' ', $command));
        }
        $this->process = $process;
        // The first one connects, and fills what is kept.
        $this->batch(1);
        for ($this->times = 1; ($took = $this->batch($this->times)['wall']) < self::BATCH / 3;) {
            $this->times *= 2;
        }
        $this->times = max(1, (int) round($this->times * self::BATCH / $took));
    }

    /** @return array{cpu: float, wall: float, peak: int} microseconds an operation, and KB */
    public function round(): array
    {
        ['cpu' => $cpu, 'wall' => $wall, 'peak' => $peak] = $this->batch($this->times);

        return ['cpu' => $cpu / $this->times, 'wall' => $wall / $this->times, 'peak' => $peak];
    }

    public function end(): void
    {
        array_map(fclose(...), $this->pipes);
        proc_close($this->process);
    }

    /** @return array{cpu: int, wall: int, peak: int} */
    private function batch(int $times): array
    {
        fwrite($this->pipes[0], "$times\n");
        $line = fgets($this->pipes[1]);
        if ($line === false || sscanf($line, '%d %d %d', $cpu, $wall, $peak) !== 3) {
            throw new \RuntimeException('a worker did not answer: ' . implode(' ', $this->command) . "\n$line");
        }

        return ['cpu' => $cpu, 'wall' => $wall, 'peak' => $peak];
    }
}
