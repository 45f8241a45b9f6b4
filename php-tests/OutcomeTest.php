<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConnectionException;
use ResilientRedis\LostReplyException;
use ResilientRedis\OutcomeUnknown;
use ResilientRedis\ReplyTimeoutException;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;

/** What is done again when a reply does not come, and what must not be. */
final class OutcomeTest extends RedisTestCase
{
    public function test_a_lost_reply_to_incr_is_reported_and_incr_is_not_sent_again(): void
    {
        [$redis, $proxy] = $this->clientBefore('INCR', 'lose');
        $unknown = $redis->stats()['unknown'];
        $exception = self::thrown(LostReplyException::class, static fn () => $redis->incr('n'));
        self::assertInstanceOf(OutcomeUnknown::class, $exception);
        self::assertInstanceOf(ConnectionException::class, $exception);
        self::assertSame(['INCR', 'read', 1], [$exception->getCommand(), $exception->getPhase(), $exception->getAttempts()]);
        self::assertSame([1, '1'], [$proxy->seen('INCR'), self::shared()->command('GET', 'n')], 'sent, and what the server counted');
        self::assertSame($unknown + 1, $redis->stats()['unknown']);
        self::assertSame(2, $redis->incr('n'), 'the client goes on');
    }

    /** @dataProvider harmless */
    public function test_a_lost_reply_to_what_may_be_repeated_is_repaired_in_silence(array $command, mixed $reply): void
    {
        self::shared()->command('SET', 'k', 'before');
        [$redis, $proxy] = $this->clientBefore($command[0], 'lose');
        self::assertSame($reply, $redis->{$command[0]}(...array_slice($command, 1)));
        self::assertSame(2, $proxy->seen($command[0]), 'how often it was sent');
        self::assertGreaterThanOrEqual(1, $redis->stats()['retries']);
    }

    /** @return iterable<string, array{list<mixed>, mixed}> */
    public static function harmless(): iterable
    {
        yield 'GET' => [['get', 'k'], 'before'];
        yield 'MGET' => [['mget', 'k', 'nothing'], ['before', null]];
        yield 'SET' => [['set', 'k', 'after'], 'OK'];
        yield 'SET with a time to live' => [['set', 'k', 'after', 'EX', 60], 'OK'];
        yield 'EXPIRE' => [['expire', 'k', 60], 1];
        yield 'HGETALL' => [['hgetall', 'nothing'], []];
    }

    /** @dataProvider accumulating */
    public function test_a_lost_reply_to_what_adds_up_is_reported(array $command): void
    {
        self::shared()->command('RPUSH', 'list', 'a', 'b', 'c');
        self::shared()->command('SET', 'text', 'x');
        [$redis, $proxy] = $this->clientBefore($command[0], 'lose');
        self::thrown(OutcomeUnknown::class, static fn () => $redis->{$command[0]}(...array_slice($command, 1)));
        self::assertSame(1, $proxy->seen($command[0]), 'how often it was sent');
    }

    /** @return iterable<string, array{list<mixed>}> */
    public static function accumulating(): iterable
    {
        yield 'LPUSH' => [['lpush', 'list', 'x']];
        yield 'LPOP' => [['lpop', 'list']];
        yield 'APPEND' => [['append', 'text', 'y']];
        yield 'XADD' => [['xadd', 'stream', '*', 'f', 'v']];
        yield 'GETSET' => [['getset', 'text', 'z']];
        yield 'SET GET' => [['set', 'text', 'z', 'GET']];
        yield 'EVAL' => [['eval', "return redis.call('INCR', 'n')", 0]];
        yield 'a command that is in no table' => [['noSuchCommand', 'x']];
    }

    /** @dataProvider checked */
    public function test_a_reply_that_the_first_attempt_may_have_turned_is_not_handed_out(array $command): void
    {
        [$redis] = $this->clientBefore($command[0], 'lose');
        self::thrown(OutcomeUnknown::class, static fn () => $redis->{$command[0]}(...array_slice($command, 1)));
    }

    /** @return iterable<string, array{list<mixed>}> */
    public static function checked(): iterable
    {
        yield 'SET NX' => [['set', 'lock', 'mine', 'NX']];
        yield 'SETNX' => [['setnx', 'lock', 'mine']];
        yield 'HSETNX' => [['hsetnx', 'h', 'f', 'v']];
    }

    public function test_a_lock_that_the_first_attempt_did_not_take_is_taken_by_the_second(): void
    {
        [$redis, $proxy] = $this->clientBefore('SET', 'close');
        self::assertSame('OK', $redis->set('lock', 'mine', 'NX'));
        self::assertSame([2, 'mine'], [$proxy->seen('SET'), self::shared()->command('GET', 'lock')]);
    }

    public function test_a_lower_ceiling_reports_where_the_default_repeats(): void
    {
        [$redis, $proxy] = $this->clientBefore('SET', 'lose', ['retry' => ['ceiling' => 'read']]);
        self::thrown(OutcomeUnknown::class, static fn () => $redis->set('k', 'v'));
        self::assertSame(1, $proxy->seen('SET'));
    }

    public function test_a_higher_ceiling_repeats_what_adds_up(): void
    {
        [$redis, $proxy] = $this->clientBefore('INCR', 'lose', ['retry' => ['ceiling' => 'accumulating']]);
        self::assertSame(2, $redis->incr('n'), 'the first one had been applied, and the caller has allowed that');
        self::assertSame(2, $proxy->seen('INCR'));
    }

    public function test_without_retries_even_a_read_is_reported(): void
    {
        [$redis, $proxy] = $this->clientBefore('GET', 'lose', ['retry' => false]);
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
        self::assertSame([1, 1], [$exception->getAttempts(), $proxy->seen('GET')]);
        self::assertNull($redis->get('k'), 'the next command has a new connection');
    }

    public function test_a_reply_that_does_not_come_in_time_is_unknown_for_incr(): void
    {
        [$redis] = $this->clientBefore('INCR', 'swallow', ['read_write_timeout' => 0.3]);
        $exception = self::thrown(ReplyTimeoutException::class, static fn () => $redis->incr('n'));
        self::assertInstanceOf(OutcomeUnknown::class, $exception);
        self::assertSame('read_write_timeout', $exception->getLimit());
        self::assertGreaterThanOrEqual(0.29, $exception->getElapsed());
        self::assertSame('1', self::shared()->command('GET', 'n'));
    }

    public function test_a_reply_that_does_not_come_in_time_is_asked_for_again_where_that_is_harmless(): void
    {
        self::shared()->command('SET', 'k', 'v');
        [$redis, $proxy] = $this->clientBefore('GET', 'swallow', ['read_write_timeout' => 0.3]);
        self::assertSame('v', $redis->get('k'));
        self::assertSame(2, $proxy->seen('GET'));
    }

    public function test_a_late_reply_reaches_nobody(): void
    {
        self::shared()->command('MSET', 'late', 'the late one', 'a', 'A', 'b', 'B');
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), 'GETEX', 'late', 1, 0.6));
        $redis = new ResilientRedis($proxy->endpoint(), ['read_write_timeout' => 0.3, 'retry' => false, 'timeout' => 2.0]);
        self::thrown(ConnectionException::class, static fn () => $redis->getex('late', 'PERSIST'));
        for ($i = 0; $i < 20; $i++) {
            self::assertSame(['A', 'B'], [$redis->get('a'), $redis->get('b')], "round $i");
        }
    }

    public function test_a_command_that_never_arrived_in_a_transaction_ends_it(): void
    {
        [$redis] = $this->clientBefore('INCR', 'close');
        $redis->multi();
        $redis->set('k', 'queued');
        self::thrown(ResilientRedis\Exception::class, static fn () => $redis->incr('n'));
        self::assertNull(self::shared()->command('GET', 'k'), 'nothing of it was applied');
        self::assertSame(1, $redis->incr('n'), 'what follows is outside of it');
    }

    public function test_a_lost_reply_to_exec_is_unknown(): void
    {
        [$redis, $proxy] = $this->clientBefore('EXEC', 'lose');
        $redis->multi();
        $redis->incr('n');
        self::thrown(OutcomeUnknown::class, static fn () => $redis->exec());
        self::assertSame([1, '1'], [$proxy->seen('EXEC'), self::shared()->command('GET', 'n')]);
        self::assertSame(2, $redis->incr('n'));
    }

    public function test_a_connection_lost_under_watch_aborts_the_transaction(): void
    {
        [$redis] = $this->clientBefore('GET', 'close');
        $redis->watch('k');
        self::thrown(ResilientRedis\AbortedMultiExecException::class, static fn () => $redis->get('k'));
        self::assertSame('OK', $redis->set('k', 'v'));
    }

    /**
     * @param array<string, mixed> $options
     * @return array{ResilientRedis, ScriptedServer}
     */
    private function clientBefore(string $command, string $fault, array $options = []): array
    {
        self::shared();
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), $command, $fault));
        $redis = new ResilientRedis($proxy->endpoint(), $options + ['command_timeout' => 5.0]);
        $redis->ping();

        return [$redis, $proxy];
    }
}
