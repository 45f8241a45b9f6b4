<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\CircuitOpenException;
use ResilientRedis\ConnectionException;
use ResilientRedis\OutcomeUnknown;
use ResilientRedis\TimeoutException;
use Tests\Support\FastCgi;
use Tests\Support\FpmMaster;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** P11: when nobody has succeeded for a while commands fail at once, until one of them finds a server again. */
final class BreakerTest extends RedisTestCase
{
    private const OPTIONS = ['breaker_after' => 1.0, 'when_open' => 'fail', 'command_timeout' => 0.5];

    public function test_a_program_whose_server_is_down_fails_fast_and_goes_on_when_it_is_back(): void
    {
        $server = $this->server();
        $events = [];
        $redis = new ResilientRedis($server->endpoint(), self::OPTIONS + [
            'on_event' => static function (string $name, array $details) use (&$events): void {
                $events[$name] = $details;
            },
        ]);
        $redis->set('k', 'v');
        self::assertSame('closed', $redis->topology()['breaker']);
        $server->kill();

        $begun = Wait::now();
        $failure = Wait::until('the breaker opens', static function () use ($redis): ?CircuitOpenException {
            try {
                $redis->incr('n');
            } catch (CircuitOpenException $failure) {
                return $failure;
            } catch (TimeoutException) {
                self::assertSame('troubled', $redis->topology()['breaker']);
            }

            return null;
        });
        self::assertEqualsWithDelta(1.0, Wait::now() - $begun, 0.4);
        self::assertInstanceOf(ConnectionException::class, $failure);
        self::assertNotInstanceOf(OutcomeUnknown::class, $failure);
        self::assertSame(['lease', 'INCR', $server->address()], [$failure->getPhase(), $failure->getCommand(), $failure->getNode()]);
        self::assertStringContainsString('it was not applied', $failure->getMessage());
        self::assertSame('open', $redis->topology()['breaker']);
        self::assertSame($server->address(), $events['breaker.opened']['node']);
        self::assertGreaterThanOrEqual(1.0, $events['breaker.opened']['duration']);
        self::assertStringContainsString('refused', $events['breaker.opened']['cause']);

        $took = [];
        for ($i = 0; $i < 200; $i++) {
            $begun = Wait::now();
            self::thrown(CircuitOpenException::class, static fn () => $redis->get('k'));
            $took[] = Wait::now() - $begun;
            usleep(2_000);
        }
        sort($took);
        self::assertLessThan(0.001, $took[100], 'the median');
        self::assertLessThan(0.01, $took[197], 'but for the slowest two of 200');

        $server->restart();
        $back = Wait::now();
        Wait::until('a command succeeds', static function () use ($redis): bool {
            try {
                return $redis->set('k', 'v') == 'OK';
            } catch (CircuitOpenException) {
                return false;
            }
        });
        self::assertLessThan(1.0, Wait::now() - $back);
        self::assertSame('closed', $redis->topology()['breaker']);
        self::assertSame($server->address(), $events['breaker.closed']['node']);
    }

    public function test_a_program_may_wait_for_the_server_instead(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint(), ['when_open' => 'wait', 'command_timeout' => 4.0] + self::OPTIONS);
        $redis->set('k', 'v');
        $server->kill();
        $hasty = new ResilientRedis($server->endpoint(), self::OPTIONS);
        Wait::until('the breaker opens', static function () use ($hasty): bool {
            try {
                $hasty->get('k');
            } catch (CircuitOpenException) {
                return true;
            } catch (TimeoutException) {
            }

            return false;
        });
        $begun = Wait::now();
        self::thrown(TimeoutException::class, static fn () => $redis->withOptions(['command_timeout' => 0.3])->get('k'));
        self::assertGreaterThan(0.29, Wait::now() - $begun);
        $server->restart();
        self::assertEquals('OK', $redis->set('k', 'v'));
    }

    public function test_workers_of_one_master_share_it(): void
    {
        $server = $this->server();
        $workers = 4;
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests', $workers));
        $this->round($fpm, $server, $workers);
        $server->kill();
        Wait::until('the breaker opens', fn (): bool => str_starts_with($this->round($fpm, $server, 1)[0]['outcome'], CircuitOpenException::class));
        $answers = $this->round($fpm, $server, $workers);
        self::assertCount($workers, array_unique(array_column($answers, 'worker')));
        foreach ($answers as $answer) {
            self::assertStringStartsWith(CircuitOpenException::class, $answer['outcome']);
            self::assertLessThan(0.02, $answer['took'], 'no worker waits for itself');
        }

        $server->restart();
        $back = Wait::now();
        Wait::until('a worker succeeds', fn (): bool => $this->round($fpm, $server, 1)[0]['outcome'] === 'OK');
        self::assertLessThan(1.0, Wait::now() - $back);
        $outcomes = array_column($this->round($fpm, $server, $workers), 'outcome');
        self::assertSame(array_fill(0, $workers, 'OK'), $outcomes, 'all know at once');
    }

    /**
     * As many requests at the same time as there are workers.
     *
     * @return list<array<string, mixed>>
     */
    private function round(FpmMaster $fpm, RedisServer $server, int $workers): array
    {
        $query = ['endpoint' => $server->endpoint(), 'command' => 'SET k v', 'options' => json_encode(self::OPTIONS)];
        $send = static fn (): FastCgi => $fpm->send('share.php', $query + ['hold' => $workers > 1 ? 50_000 : 0]);
        $pending = array_map($send, range(1, $workers));

        return array_map(static fn (FastCgi $request): array => $request->response()->json(), $pending);
    }
}
