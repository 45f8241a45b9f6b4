<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\Resp;
use Tests\Support\Wait;

/** One run of the driver: what it is told, and what its log says afterwards. Times are seconds on the monotonic clock. */
final class Run
{
    /** Of the driver: operations per second. */
    public const RATE = 300;

    /** Client timeouts and command deadline, as the bars assume them. */
    public const OPTIONS = ['timeout' => 0.5, 'read_write_timeout' => 0.5, 'command_timeout' => 4.0];

    private readonly Process $process;

    /** @var list<array{string, int, float, float, string, string}> operation, number, start, end, outcome, detail */
    private array $log = [];

    private int $dialed = 0;

    /**
     * @param array<string, mixed> $options
     * @param list<string> $operations
     * @param array<int, float> $pauses after the operation of that number
     */
    public function __construct(
        private readonly string $client,
        mixed $parameters,
        float $seconds,
        array $options = [],
        array $operations = ['incr', 'set', 'get'],
        float $rate = self::RATE,
        array $pauses = [],
    ) {
        $plan = [
            'client' => $client, 'parameters' => $parameters, 'options' => $options + self::OPTIONS, 'seconds' => $seconds,
            'operations' => $operations, 'rate' => $rate, 'pauses' => (object) $pauses,
        ];
        $own = array_merge(...array_map(static fn (string $path): array => ['-d', "extension=$path"], self::extensions($client)));
        $this->process = new Process([PHP_BINARY, '-n', '-d', 'precision=17', ...$own, __DIR__ . '/bin/driver.php', json_encode($plan, JSON_THROW_ON_ERROR)]);
        Wait::until('the driver has started', function (): bool {
            if (!$this->process->isRunning()) {
                throw new \RuntimeException('the driver has ended: ' . $this->process->output() . $this->process->errors());
            }

            return str_starts_with($this->process->output(), "started\n");
        });
    }

    /** Waits for the driver's end and reads its log. */
    public function finish(): self
    {
        $code = $this->process->wait(60.0);
        $text = $this->process->output();
        if ($code !== 0) {
            throw new \RuntimeException("the driver ended with $code: $text" . $this->process->errors());
        }
        ['log' => $this->log, 'dialed' => $this->dialed] =
            json_decode(substr($text, strpos($text, "\n") + 1), true, 32, JSON_THROW_ON_ERROR);
        if ($this->client === 'resilient') {
            foreach ($this->failures() as $failure => $times) {
                fwrite(STDERR, "    $times times: $failure\n");
            }
        }

        return $this;
    }

    /** Connection attempts, of clients that count them: ours. @return array{dialed?: int} */
    public function dialed(): array
    {
        return $this->client === 'resilient' ? ['dialed' => $this->dialed] : [];
    }

    /** How many operations ended so; of one kind or of all. */
    public function count(string $outcome, string ...$operations): int
    {
        return count($this->ended($outcome, ...$operations));
    }

    /** @return list<array{string, int, float, float, string, string}> */
    public function ended(string $outcome, string ...$operations): array
    {
        return array_values(array_filter(
            $this->log,
            static fn (array $entry): bool => $entry[4] === $outcome && ($operations === [] || in_array($entry[0], $operations, true)),
        ));
    }

    /** What failed, each text once, and how often. @return array<string, int> */
    private function failures(): array
    {
        $texts = array_map(static fn (array $entry): string => "$entry[0]: $entry[5]", $this->ended('failed'));

        return array_count_values($texts);
    }

    /** The longest time without an acknowledged write; the log's end counts as one. */
    public function writeGap(): float
    {
        $longest = 0.0;
        $last = $this->log[0][2];
        foreach ($this->log as [$operation, , , $end, $outcome]) {
            if ($operation !== 'get' && $outcome === 'ok') {
                $longest = max($longest, $end - $last);
                $last = $end;
            }
        }

        return max($longest, end($this->log)[3] - $last);
    }

    /** From a moment to the first write that was acknowledged after it, at the new primary; the run's rest if there is none. */
    public function firstWriteAfter(float $moment): float
    {
        foreach ($this->log as [$operation, , , $end, $outcome]) {
            if ($operation !== 'get' && $outcome === 'ok' && $end >= $moment) {
                return $end - $moment;
            }
        }

        return end($this->log)[3] - $moment;
    }

    public function longest(string ...$operations): float
    {
        $longest = 0.0;
        foreach ($this->log as [$operation, , $start, $end]) {
            $longest = $operations === [] || in_array($operation, $operations, true) ? max($longest, $end - $start) : $longest;
        }

        return $longest;
    }

    /** By how much the longest wait outlasted a moment: for operations that had begun before it. */
    public function outlasted(float $moment): float
    {
        $latest = 0.0;
        foreach ($this->log as [, , $start, $end]) {
            $latest = $start < $moment ? max($latest, $end - $moment) : $latest;
        }

        return $latest;
    }

    /** The time that operations of this kind took: their median. */
    public function medianOf(string $operation): float
    {
        $took = array_map(static fn (array $entry): float => $entry[3] - $entry[2], $this->ended('ok', $operation));
        sort($took);

        return $took[intdiv(count($took), 2)] ?? throw new \RuntimeException("no $operation went well");
    }

    /** The time that the operation of this number took. */
    public function took(int $number): float
    {
        return $this->log[$number][3] - $this->log[$number][2];
    }

    /**
     * Acknowledged writes that the server does not have, and increments that it applied twice: each INCR is for a key of its
     * own, so that a second application cannot hide.
     *
     * @return array{lost_set: int, lost_incr: int, duplicates: int}
     */
    public function compareWith(Resp $server): array
    {
        $found = ['lost_set' => 0, 'lost_incr' => 0, 'duplicates' => 0];
        foreach ($this->log as [$operation, $number, , , $outcome]) {
            if ($operation === 'set' && $outcome === 'ok') {
                $found['lost_set'] += (int) ($server->command('GET', "s:$number") !== (string) $number);
            } elseif ($operation === 'incr' || $operation === 'reconnect') {
                $value = (int) $server->command('GET', "i:$number");
                $found['lost_incr'] += (int) ($outcome === 'ok' && $value === 0);
                $found['duplicates'] += max(0, $value - 1);
            }
        }

        return $found;
    }

    /** @return list<string> the files that the client needs loaded */
    private static function extensions(string $client): array
    {
        return match ($client) {
            'resilient' => [Extension::path()],
            'phpredis' => [ini_get('extension_dir') . '/igbinary.so', ini_get('extension_dir') . '/redis.so'],
            default => [],
        };
    }
}
