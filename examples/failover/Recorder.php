<?php

declare(strict_types=1);

namespace FailoverDemo;

/** Keeps the workload's diary and writes it to standard output. All times are seconds of the clock that no one sets. */
final class Recorder
{
    private float $binStart;

    private float $lastDone;

    private int $operations = 0;

    private int $failed = 0;

    private int $unknown = 0;

    private int $acknowledged = 0;

    /** @var array{float, float} the longest time without a finished operation that ended in this bin: length, start */
    private array $pause = [0.0, 0.0];

    /** @var list<float> when writes were acknowledged, in this bin */
    private array $writes = [];

    public function __construct(private readonly float $binLength)
    {
        $this->binStart = $this->lastDone = self::now();
    }

    public static function now(): float
    {
        return hrtime(true) / 1e9;
    }

    /** An operation was answered. */
    public function done(bool $isWrite): void
    {
        $now = self::now();
        $this->closeBinsUpTo($now);
        $this->operations++;
        if ($now - $this->lastDone > $this->pause[0]) {
            $this->pause = [$now - $this->lastDone, $this->lastDone];
        }
        $this->lastDone = $now;
        if ($isWrite) {
            $this->writes[] = round($now, 5);
        }
    }

    /** The counter tells exactly what was lost and what was applied twice: without either it grows by one. */
    public function counted(int $reply, int $before, int $unknown): void
    {
        $this->acknowledged++;
        $surplus = $reply - $before - 1;
        if ($surplus < 0) {
            $this->odd('lost', -$surplus, "INCR answered $before and then $reply");
        } elseif ($surplus > $unknown) {
            $this->odd('twice', $surplus - $unknown, "INCR answered $before and then $reply, with $unknown outcomes unknown");
        } elseif ($surplus > 0) {
            $this->odd('applied', $surplus, 'an INCR with unknown outcome had been applied');
        }
    }

    /** GET gave something else than what had just been set: an older value if a failover took the write away. */
    public function otherValue(string $key, mixed $value): void
    {
        $older = $value === null || (is_string($value) && str_starts_with($value, "$key "));
        $this->odd($older ? 'lost' : 'wrong', 1, "GET $key answered " . var_export($value, true));
    }

    public function unknown(string $operation, \Throwable $exception): void
    {
        $this->closeBinsUpTo(self::now());
        $this->unknown++;
        $this->odd('unknown', 1, strtoupper($operation) . ': ' . $exception->getMessage());
    }

    public function failed(string $operation, \Throwable $exception): void
    {
        $this->closeBinsUpTo(self::now());
        $this->failed++;
        $this->odd('failed', 1, strtoupper($operation) . ': ' . $exception::class . ': ' . $exception->getMessage());
    }

    /** @param array<string, mixed> $details */
    public function event(string $event, array $details): void
    {
        $this->write(['type' => 'event', 'at' => self::now(), 'event' => $event, 'details' => $details]);
    }

    public function finish(): void
    {
        $this->closeBin();
        $this->write(['type' => 'end', 'at' => self::now(), 'acknowledged' => $this->acknowledged]);
    }

    private function odd(string $kind, int $count, string $text): void
    {
        $this->write(['type' => 'odd', 'at' => self::now(), 'kind' => $kind, 'count' => $count, 'text' => $text]);
    }

    private function closeBinsUpTo(float $now): void
    {
        while ($now >= $this->binStart + $this->binLength) {
            $this->closeBin();
        }
    }

    private function closeBin(): void
    {
        $this->write([
            'type' => 'bin', 'at' => $this->binStart, 'operations' => $this->operations,
            'failed' => $this->failed, 'unknown' => $this->unknown,
            'pause' => $this->pause[0], 'pauseFrom' => $this->pause[1], 'lastDone' => $this->lastDone, 'writes' => $this->writes,
        ]);
        $this->binStart += $this->binLength;
        $this->operations = $this->failed = $this->unknown = 0;
        $this->pause = [0.0, 0.0];
        $this->writes = [];
    }

    /** @param array<string, mixed> $line */
    private function write(array $line): void
    {
        fwrite(STDOUT, json_encode($line, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR) . "\n");
    }
}
