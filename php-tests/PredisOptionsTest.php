<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use ResilientRedis\ConnectionException;
use ResilientRedis\Pipeline;
use ResilientRedis\Response\Error;
use ResilientRedis\Response\ErrorInterface;
use ResilientRedis\ServerException;
use ResilientRedis\Transaction;
use Tests\Support\Ports;
use Tests\Support\RedisTestCase;

/** Errors as values, as programs written for Predis ask for them. */
final class PredisOptionsTest extends RedisTestCase
{
    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    private static function quiet(int $protocol = 2): ResilientRedis
    {
        $redis = new ResilientRedis(self::shared()->endpoint(), ['exceptions' => false, 'protocol' => $protocol]);
        $redis->flushall();
        $redis->set('text', 'x');

        return $redis;
    }

    private static function assertIsError(string $type, mixed $reply): void
    {
        self::assertInstanceOf(Error::class, $reply, get_debug_type($reply));
        self::assertInstanceOf(ErrorInterface::class, $reply);
        self::assertSame($type, $reply->getErrorType());
        self::assertStringStartsWith("$type ", $reply->getMessage());
        self::assertSame($reply->getMessage(), (string) $reply);
    }

    /** @dataProvider protocols */
    public function test_error_replies_are_returned_without_exceptions(int $protocol): void
    {
        $redis = self::quiet($protocol);
        self::assertIsError('WRONGTYPE', $redis->lpush('text', 'y'));
        self::assertIsError('WRONGTYPE', $redis->zrange('text', 0, -1, ['withscores' => true]));
        self::assertIsError('ERR', $redis->noSuchCommand('a'));
        self::assertIsError('ERR', $redis->executeRaw(['NOSUCHCOMMAND']));
        self::assertIsError('NOSCRIPT', $redis->evalsha(str_repeat('f', 40), 0));
        self::assertIsError('ERR', $redis->config('SET', 'no-such-parameter', '1'));
        self::assertSame('x', $redis->get('text'), 'the connection goes on');
    }

    /** @dataProvider protocols */
    public function test_pipelines_and_transactions_take_it_over_from_the_client(int $protocol): void
    {
        $redis = self::quiet($protocol);
        $commands = static fn (Pipeline|Transaction $queue) => $queue->set('text', 'z')->lpush('text', 'y')->get('text');
        foreach ([$redis->pipeline($commands), $redis->pipeline(['atomic' => true], $commands), $redis->transaction($commands)] as $replies) {
            self::assertSame(['OK', 'z'], [$replies[0], $replies[2]]);
            self::assertIsError('WRONGTYPE', $replies[1]);
        }
        self::thrown(ServerException::class, static fn () => $redis->pipeline(['exceptions' => true], $commands));
        $read = null;
        $redis->transaction(['cas' => true, 'watch' => 'text'], static function (Transaction $transaction) use (&$read): void {
            $read = $transaction->llen('text');
            $transaction->multi();
            $transaction->set('text', 'q');
        });
        self::assertIsError('WRONGTYPE', $read);
        self::assertSame('q', $redis->get('text'));
    }

    public function test_with_options_turns_exceptions_off_and_on_again(): void
    {
        $redis = self::client();
        $redis->set('text', 'x');
        $quiet = $redis->withOptions(['exceptions' => false]);
        self::assertIsError('WRONGTYPE', $quiet->lpush('text', 'y'));
        self::thrown(ServerException::class, static fn () => $redis->lpush('text', 'y'));
        self::thrown(ServerException::class, static fn () => $quiet->withOptions(['exceptions' => 'true'])->lpush('text', 'y'));
    }

    public function test_what_is_no_reply_is_thrown_all_the_same(): void
    {
        $redis = new ResilientRedis('tcp://127.0.0.1:' . Ports::free(), ['exceptions' => false, 'command_timeout' => 0.2]);
        self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
        self::thrown(ResilientRedis\ClientException::class, static fn () => self::quiet()->set('k', [[]]));
        self::thrown(ConfigurationException::class, static fn () => new ResilientRedis(null, ['exceptions' => 'maybe']));
        $watched = self::quiet();
        $watched->acl('SETUSER', 'default', '-watch');
        try {
            self::thrown(ServerException::class, static fn () => $watched->transaction(['watch' => 'k'])->set('k', 'v')->execute());
            self::assertNull($watched->get('k'), 'nothing is applied without its watch');
        } finally {
            $watched->acl('SETUSER', 'default', '+watch');
        }
    }

    public function test_the_exception_gives_the_error_as_a_value(): void
    {
        $redis = self::client();
        $redis->set('text', 'x');
        $exception = self::thrown(ServerException::class, static fn () => $redis->lpush('text', 'y'));
        self::assertInstanceOf(ErrorInterface::class, $exception);
        self::assertIsError('WRONGTYPE', $exception->toErrorResponse());
        self::assertSame($exception->getMessage(), (string) $exception->toErrorResponse());
    }

    public function test_hints_name_what_is_meant(): void
    {
        $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis(null, ['retry' => ['max' => 3]]));
        self::assertStringContainsString('did you mean `max_attempts`?', $exception->getMessage());
        $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis('http://127.0.0.1'));
        self::assertStringNotContainsString('TLS', $exception->getMessage());
    }
}
