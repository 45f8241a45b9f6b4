<?php

declare(strict_types=1);

namespace FailoverDemo;

use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\ReplicaSet;
use Tests\Support\Resp;
use Tests\Support\Wait;

/** The choreography: what is done to the servers and when, while the workload runs. */
final class Play
{
    private readonly ReplicaSet $servers;

    private readonly Process $workload;

    private readonly Diary $diary;

    private readonly Screen $screen;

    /** @param list<string> $php the command that runs PHP with the extension, up to the script's name */
    public function __construct(private readonly array $php)
    {
    }

    public function run(): Result
    {
        $this->servers = ReplicaSet::start(2);
        [$first, , $third] = $this->servers->nodes;
        foreach ($this->servers->nodes as $node) {
            printf("%-8s redis-server at %s, process %d\n", $node === $first ? 'primary' : 'replica', $node->address(), $node->pid());
        }
        printf("program  knows only %s; INCR, SET, GET, about 2,000 operations/s\n", $first->endpoint());

        $this->workload = new Process([...$this->php, $first->endpoint()]);
        $this->diary = new Diary($this->settle());
        $this->screen = new Screen($this->diary);
        $this->diary->reign($first->address(), $this->diary->start);
        $this->screen->heading();

        $killed = $this->primaryDies();
        $plan = $this->plannedFailover($killed['lost'], $killed['new'], $third);

        $this->workload->signal(SIGTERM);
        $code = $this->workload->wait(10.0);
        $this->take();
        $this->screen->finish($plan['act']->until);
        if ($code !== 0 || $this->diary->acknowledged === null) {
            throw new \RuntimeException("the workload ended with code $code:\n" . $this->workload->errors());
        }

        return new Result($this->diary, [$killed['act'], $plan['act']], (int) $plan['new']->command('GET', 'demo:counter'));
    }

    /** @return array{act: Act, lost: RedisServer, new: RedisServer} */
    private function primaryDies(): array
    {
        $lost = $this->servers->primary();
        $act = new Act('Act one: the primary is killed', $this->diary->start, unknownAllowed: 1, firstWriteWithin: 0.050, pauseWithin: null);
        $this->goOnFor(2.0);

        $this->diary->reign(null, Wait::now());
        $this->diary->mark('killed', "the primary {$lost->address()} is killed (SIGKILL)", Wait::now());
        $lost->kill();
        $this->goOnFor(1.0);

        $new = $this->servers->bestReplica($lost);
        $act->switchedAt = $this->servers->promote($new);
        $this->diary->reign($new->address(), $act->switchedAt);
        $this->diary->mark('promoted', "{$new->address()} is promoted", $act->switchedAt);
        $this->goOnFor(2.0);
        $act->until = Wait::now();

        return ['act' => $act, 'lost' => $lost, 'new' => $new];
    }

    /** @return array{act: Act, new: RedisServer} */
    private function plannedFailover(RedisServer $back, RedisServer $old, RedisServer $third): array
    {
        $new = $third === $old ? $this->servers->replica(0) : $third;
        $this->diary->mark('restarted', "{$back->address()} is started again, as a replica", Wait::now());
        $back->restart($old);
        $this->servers->waitUntilLinked($old);
        $this->goOnFor(0.25);

        $act = new Act('Act two: a planned failover', Wait::now(), unknownAllowed: 0, firstWriteWithin: null, pauseWithin: 0.100);
        $this->goOnFor(1.0);

        // Both commands are on their way before either is answered.
        [$promotion, $demotion] = [$new->connect(), $old->connect()];
        $promotion->send(Resp::encode(['REPLICAOF', 'NO', 'ONE']));
        $demotion->send(Resp::encode(['REPLICAOF', '127.0.0.1', $new->port]));
        $promotion->reply();
        $demotion->reply();
        $act->switchedAt = Wait::now();
        $this->diary->reign($new->address(), $act->switchedAt);
        $this->diary->mark('promoted', "{$new->address()} is promoted", $act->switchedAt);
        $this->diary->mark('demoted', "{$old->address()} becomes its replica and answers READONLY", $act->switchedAt);
        $back->replicaOf($new);
        $this->goOnFor(2.0);
        $act->until = Wait::now();

        return ['act' => $act, 'new' => $new];
    }

    /** Waits until the program runs at its pace; the end of the last tenth of a second that it told of. */
    private function settle(): float
    {
        $busy = 0;

        return Wait::until('the program runs', function () use (&$busy): ?float {
            if (!$this->workload->isRunning()) {
                throw new \RuntimeException("the program could not start:\n" . $this->workload->errors() . $this->workload->output());
            }
            $end = null;
            foreach ($this->workload->newLines() as $line) {
                $bin = json_decode($line, true, 16, JSON_THROW_ON_ERROR);
                if ($bin['type'] === 'odd') {
                    throw new \RuntimeException("already before the first act: {$bin['text']}");
                }
                $busy += ($bin['operations'] ?? 0) > 0 ? 1 : 0;
                $end = $busy >= 3 && $bin['type'] === 'bin' ? $bin['at'] + 0.1 : null;
            }

            return $end;
        });
    }

    private function goOnFor(float $seconds): void
    {
        $end = Wait::now() + $seconds;
        while (Wait::now() < $end) {
            if (!$this->workload->isRunning()) {
                throw new \RuntimeException("the program has ended by itself:\n" . $this->workload->errors());
            }
            $this->take();
            $this->screen->refresh(Wait::now());
            usleep(10_000);
        }
    }

    private function take(): void
    {
        foreach ($this->workload->newLines() as $line) {
            $this->diary->add(json_decode($line, true, 16, JSON_THROW_ON_ERROR));
        }
    }
}
