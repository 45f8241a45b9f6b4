<?php

declare(strict_types=1);

namespace Tests\Support;

/** A child process that uses a cluster through the extension while the test does things to it. */
final class ClusterLoad
{
    private readonly Process $process;

    /** @var list<array{began: float, ended: float, outcome: string, name: string, detail: string}> */
    private array $operations = [];

    /**
     * @param string $kind of Fixtures/cluster-load.php
     * @param list<string> $tags what it uses: the slots of these
     * @param array<string, mixed> $options of the client
     */
    public function __construct(RedisCluster $cluster, string $kind, array $tags, array $options = [])
    {
        $words = [json_encode($cluster->endpoints()), json_encode($options + ['command_timeout' => 5.0]), $kind, ...$tags];
        $this->process = new Process(Extension::php(dirname(__DIR__) . '/Fixtures/cluster-load.php', [], ...$words));
        Wait::until('the load has begun', function (): bool {
            $this->collect();
            if (!$this->process->isRunning()) {
                throw new \RuntimeException('the load has ended: ' . $this->process->output() . $this->process->errors());
            }

            return count($this->operations) >= 50;
        });
    }

    public function stop(): void
    {
        if ($this->process->isRunning()) {
            $this->process->write("\n");
            $this->process->wait();
        }
        $this->collect();
    }

    public function count(): int
    {
        return count($this->operations);
    }

    public function unknown(): int
    {
        return $this->number('unknown');
    }

    public function ok(): int
    {
        return $this->number('ok');
    }

    /** How many operations ended so. */
    public function number(string ...$outcomes): int
    {
        return count($this->having($outcomes));
    }

    /** @return list<string> what failed or gave something else than it should, each kind once */
    public function failures(string ...$outcomes): array
    {
        $texts = [];
        foreach ($this->having($outcomes ?: ['failed', 'wrong', 'unknown']) as $operation) {
            $text = "{$operation['outcome']} {$operation['name']} {$operation['detail']}";
            $texts[preg_replace('/[\d.]+/', '#', $text)] ??= $text;
        }

        return array_values($texts);
    }

    /** Seconds from a moment to the end of the first operation that succeeded after it. */
    public function firstSuccessAfter(float $moment): float
    {
        foreach ($this->having(['ok']) as $operation) {
            if ($operation['ended'] > $moment) {
                return $operation['ended'] - $moment;
            }
        }

        throw new \RuntimeException('nothing succeeded any more');
    }

    /** Seconds that all but one operation in a hundred took at most, of those under way after a moment. */
    public function percentile99(float $since = 0.0): float
    {
        $durations = [];
        foreach ($this->operations as $operation) {
            if ($operation['ended'] > $since) {
                $durations[] = $operation['ended'] - $operation['began'];
            }
        }
        sort($durations);

        return $durations[(int) (count($durations) * 0.99)] ?? throw new \RuntimeException('nothing was done');
    }

    public function longest(): float
    {
        return max(array_map(static fn (array $operation): float => $operation['ended'] - $operation['began'], $this->operations));
    }

    /**
     * @param array<string> $outcomes
     * @return list<array{began: float, ended: float, outcome: string, name: string, detail: string}>
     */
    private function having(array $outcomes): array
    {
        return array_values(array_filter(
            $this->operations,
            static fn (array $operation): bool => in_array($operation['outcome'], $outcomes, true),
        ));
    }

    private function collect(): void
    {
        foreach ($this->process->newLines() as $line) {
            [$began, $ended, $outcome, $name, $detail] = explode(' ', $line, 5);
            $this->operations[] = ['began' => (float) $began, 'ended' => (float) $ended] + compact('outcome', 'name', 'detail');
        }
    }
}
