<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConnectionException;
use ResilientRedis\LostReplyException;
use ResilientRedis\OutcomeUnknown;
use ResilientRedis\Pipeline;
use ResilientRedis\ReplyTimeoutException;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;
use Tests\Support\Wait;

/** What becomes of a pipeline when the connection, the server or its role is lost in the middle of it. */
final class BatchOutcomeTest extends RedisTestCase
{
    public function test_the_answered_prefix_stands_and_the_rest_is_sent_again(): void
    {
        foreach (['close', 'lose'] as $fault) {
            self::shared()->command('FLUSHALL');
            [$redis, $proxy] = $this->clientBefore('SET', $fault);
            $replies = $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->incr('n')->incr('n')->set('k', 'v')->get('k')->get('n'));
            self::assertSame([1, 2, 'OK', 'v', '2'], $replies, $fault);
            self::assertSame([2, 2], [$proxy->seen('INCR'), $proxy->seen('SET')], "$fault: INCR was answered and is not sent again");
        }
    }

    public function test_what_adds_up_and_may_have_been_applied_is_reported_with_what_is_known(): void
    {
        [$redis, $proxy] = $this->clientBefore('INCR', 'lose');
        $exception = self::thrown(LostReplyException::class, static fn () => $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->set('k', 'v')->get('k')->incr('n')->set('later', 'x')));
        self::assertInstanceOf(OutcomeUnknown::class, $exception);
        self::assertSame([2, ['OK', 'v'], 'INCR'], [$exception->getIndex(), $exception->getReplies(), $exception->getCommand()]);
        self::assertStringContainsString('command 3 of a batch of 4', $exception->getMessage());
        self::assertSame([1, '1'], [$proxy->seen('INCR'), self::shared()->command('GET', 'n')]);
        self::assertSame(2, $redis->incr('n'), 'the client goes on');
    }

    public function test_a_wrong_not_set_is_not_handed_out_but_the_other_replies_are(): void
    {
        [$redis] = $this->clientBefore('SET', 'lose');
        $exception = self::thrown(OutcomeUnknown::class, static fn () => $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->get('a')->set('lock', 'mine', 'NX')->get('lock')));
        self::assertSame([1, [0 => null, 2 => 'mine']], [$exception->getIndex(), $exception->getReplies()]);
    }

    public function test_an_error_whose_command_is_sent_again_in_its_order_is_not_thrown(): void
    {
        $says = static fn (string $command, string $text): array => ['command' => $command, 'fault' => 'say', 'times' => 1, 'bytes' => "-$text\r\n"];
        $rules = [$says('GETSET', 'LOADING Redis is loading the dataset in memory'), $says('APPEND', 'WRONGTYPE for the first time')];
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::following(self::shared(), $rules));
        $redis = new ResilientRedis($proxy->endpoint());
        $replies = $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->ping()->getset('k', 'v')->append('k', 'w')->get('k'));
        // The proxy's server has executed both twice.
        self::assertSame(['PONG', 'vw', 2, 'vw'], $replies);
    }

    public function test_silence_in_the_middle_is_bounded_once_for_all_of_it(): void
    {
        [$redis] = $this->clientBefore('INCR', 'swallow', ['read_write_timeout' => 0.4]);
        $begun = Wait::now();
        $exception = self::thrown(ReplyTimeoutException::class, static fn () => $redis->pipeline(static function (Pipeline $pipeline): void {
            $pipeline->set('k', 'v')->incr('n');
            for ($i = 0; $i < 20; $i++) {
                $pipeline->get('k');
            }
        }));
        $took = Wait::now() - $begun;
        self::assertSame(['read_write_timeout', 1], [$exception->getLimit(), $exception->getIndex()]);
        self::assertTrue($took > 0.35 && $took < 1.0, "$took s");
    }

    public function test_a_command_outside_of_batches_has_neither_index_nor_replies(): void
    {
        self::shared()->command('SET', 'k', 'v');
        $exception = self::thrown(ResilientRedis\ServerException::class, static fn () => self::client()->lpush('k', 'x'));
        self::assertSame([null, null], [$exception->getIndex(), $exception->getReplies()]);
    }

    public function test_a_killed_primary_is_a_pause_for_a_pipeline(): void
    {
        $set = $this->replicaSet();
        $redis = new ResilientRedis($set->endpoints(), ['command_timeout' => 8.0]);
        $redis->set('k', 'before');
        Wait::until('the replicas have it', static fn (): bool => $set->replica(0)->command('GET', 'k') === 'before');
        $promotion = $set->promoteLater($set->replica(0), 0.4, [$set->replica(1)]);
        $heard = [];
        $redis->onEvent(static function (string $event) use (&$heard, $redis): void {
            $heard[$event] = $redis->get('n');
        });
        $set->primary()->kill();
        $replies = $redis->pipeline(static function (Pipeline $pipeline): void {
            for ($i = 0; $i < 1000; $i++) {
                $pipeline->incr('n');
            }
            $pipeline->get('k');
        });
        self::assertSame([...range(1, 1000), 'before'], $replies);
        self::assertSame('1000', $set->replica(0)->command('GET', 'n'));
        self::assertSame('1000', $heard['failover.completed'] ?? null, 'listeners are told after the batch: ' . self::seen($heard));
        $promotion->wait();
    }

    public function test_a_planned_failover_between_two_pipelines_costs_nothing_but_time(): void
    {
        $set = $this->replicaSet();
        $redis = new ResilientRedis($set->endpoints(), ['command_timeout' => 8.0]);
        self::assertSame([1], $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->incr('n')));
        Wait::until('the replicas have it', static fn (): bool => $set->replica(0)->command('GET', 'n') === '1');
        $set->promote($set->replica(0));
        $replies = $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->get('n')->incr('n')->multi()->incr('n')->exec()->get('n'));
        self::assertSame(['1', 2, 'OK', 'QUEUED', [3], '3'], $replies);
        self::assertSame([4], $redis->transaction(static fn ($transaction) => $transaction->incr('n')));
    }

    public function test_pipelines_under_load_lose_and_double_nothing_while_roles_are_exchanged(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints(), ['command_timeout' => 8.0]);
        $redis->ping();
        // The replica is promoted when it has everything: clients are paused while roles change hands.
        $failover = new \Tests\Support\Process([PHP_BINARY, '-n', __DIR__ . '/Fixtures/failover.php', (string) $set->primary()->port, '0.2']);
        $expected = 0;
        $end = Wait::now() + 1.2;
        while (Wait::now() < $end) {
            $replies = $redis->pipeline(static function (Pipeline $pipeline): void {
                for ($i = 0; $i < 50; $i++) {
                    $pipeline->incr('n');
                }
            });
            self::assertSame(range($expected + 1, $expected + 50), $replies);
            $expected += 50;
        }
        self::assertSame(0, $failover->wait(), $failover->output() . $failover->errors());
        self::assertSame('master', $set->replica(0)->role());
        self::assertSame((string) $expected, $redis->get('n'));
    }

    /**
     * @param array<string, mixed> $options
     * @return array{ResilientRedis, ScriptedServer}
     */
    private function clientBefore(string $command, string $fault, array $options = []): array
    {
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), $command, $fault));
        $redis = new ResilientRedis($proxy->endpoint(), $options + ['command_timeout' => 5.0]);
        $redis->ping();

        return [$redis, $proxy];
    }
}
