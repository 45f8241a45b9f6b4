<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\FpmMaster;

/** Many visitors at once: requests to php-fpm at a steady rate, each answered by whichever worker is free. */
final class Crowd
{
    /** @var list<array{int, float, float, string, string}> worker, start, end, outcome, message: of Redis' part of each request */
    public array $log = [];

    /** @var array<int, resource> */
    private array $children = [];

    /** @param array<string, string> $query */
    public function __construct(private readonly FpmMaster $master, private readonly array $query, private readonly int $visitors, private readonly float $rate)
    {
    }

    /** Every visitor is a process that sends one request after the other, for this time. */
    public function visit(float $seconds): void
    {
        for ($visitor = 0; $visitor < $this->visitors; $visitor++) {
            [$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0) ?: throw new \RuntimeException('no pipe');
            $pid = pcntl_fork();
            if ($pid === 0) {
                fclose($ours);
                $this->sendRequests($theirs, $seconds, $visitor / $this->visitors);
                // Without the shutdown functions, which would end the servers of the parent.
                posix_kill(posix_getpid(), SIGKILL);
            }
            fclose($theirs);
            $this->children[$pid] = $ours;
        }
    }

    public function finish(): void
    {
        foreach ($this->children as $pid => $pipe) {
            foreach (explode("\n", trim((string) stream_get_contents($pipe))) as $line) {
                if ($line !== '') {
                    $this->log[] = json_decode($line, true, 4, JSON_THROW_ON_ERROR);
                }
            }
            pcntl_waitpid($pid, $status);
        }
        usort($this->log, static fn (array $one, array $other): int => $one[2] <=> $other[2]);
    }

    /** @param resource $report */
    private function sendRequests($report, float $seconds, float $offset): void
    {
        $every = $this->visitors / $this->rate;
        $now = static fn (): float => hrtime(true) / 1e9;
        $begin = $now();
        $next = $begin + $offset * $every;
        while ($next < $begin + $seconds) {
            usleep(max(0, (int) (($next - $now()) * 1e6)));
            fwrite($report, $this->master->request('write.php', $this->query)->body . "\n");
            $next = max($next + $every, $now());
        }
        fclose($report);
    }
}
