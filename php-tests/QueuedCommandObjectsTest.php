<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\Command\Factory;
use ResilientRedis\Command\RawCommand;
use ResilientRedis\ConfigurationException;
use ResilientRedis\Pipeline;
use ResilientRedis\Response\Error;
use ResilientRedis\ServerException;
use ResilientRedis\Transaction;
use Tests\Fixtures\JsonGet;
use Tests\Fixtures\LoudGet;
use Tests\Fixtures\Meddling;
use Tests\Fixtures\Preparing;
use Tests\Support\RedisTestCase;

require_once __DIR__ . '/Fixtures/commands/commands.php';
require_once __DIR__ . '/Fixtures/commands/scripts.php';

/** Command objects in pipelines and transactions, whose code may do anything to these meanwhile. */
final class QueuedCommandObjectsTest extends RedisTestCase
{
    protected function setUp(): void
    {
        parent::setUp();
        self::shared()->command('SCRIPT', 'FLUSH');
    }

    protected function tearDown(): void
    {
        Preparing::$action = null;
        parent::tearDown();
    }

    public function test_queues_make_command_objects_as_their_client_does(): void
    {
        $redis = self::client(['commands' => ['loud' => LoudGet::class]]);
        $before = self::shared()->counters();
        foreach ([$redis->pipeline(), $redis->transaction()] as $queue) {
            self::assertInstanceOf(LoudGet::class, $queue->createCommand('loud', ['k']));
            self::assertSame(['GET', ['k']], [$queue->createCommand('get', ['k'])->getId(), $queue->createCommand('get', ['k'])->getArguments()]);
            self::assertInstanceOf(Factory::class, $queue->getCommandFactory());
            self::assertTrue($queue->getCommandFactory()->supports('loud'));
            self::assertCount(0, $queue, 'nothing was queued');
        }
        self::assertSame(0, self::shared()->counters()->since($before)->commands);
        self::thrown(ClientException::class, static fn () => (new Pipeline())->createCommand('get'));
    }

    public function test_methods_of_the_queue_s_own_stay(): void
    {
        $redis = self::client(['commands' => ['count' => LoudGet::class, 'execute' => LoudGet::class, 'stats' => LoudGet::class, 'watch' => LoudGet::class]]);
        $redis->set('k', 'v');
        $pipe = $redis->pipeline();
        self::assertSame(1, $pipe->get('k')->count());
        self::assertSame(['v'], $pipe->execute());
        self::assertSame('OK', $redis->transaction()->watch('k'));
        self::assertIsArray($redis->stats());
        self::assertSame(['<v>', '<v>', '<v>'], [$redis->count('k'), $redis->watch('k'), $redis->executeCommand($redis->createCommand('stats', ['k']))]);
        self::assertSame(['<v>'], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->watch('k')), 'a pipeline has no method of that name');
    }

    public function test_a_script_whose_code_begins_check_and_set_runs_at_once_and_with_its_text(): void
    {
        $redis = self::client();
        $transaction = $redis->transaction(['cas' => true]);
        $transaction->multi();
        $transaction->set('x', 1);
        Preparing::$action = static function () use ($transaction): void {
            $transaction->exec();
            $transaction->get('x');
        };
        self::assertSame(5, $transaction->executeCommand(self::preparing()));
        self::assertSame(['1', '5'], [$redis->get('x'), $redis->get('n')]);
    }

    public function test_a_script_whose_code_ends_check_and_set_is_queued(): void
    {
        $redis = self::client();
        $transaction = $redis->transaction(['cas' => true]);
        $transaction->get('x');
        Preparing::$action = static fn () => $transaction->multi();
        self::assertSame($transaction, $transaction->executeCommand(self::preparing()));
        self::assertNull($redis->get('n'));
        self::assertSame([5], $transaction->exec());
    }

    public function test_a_command_whose_code_ends_the_transaction_is_refused(): void
    {
        $redis = self::client();
        $transaction = $redis->transaction();
        $transaction->set('x', 1);
        Preparing::$action = static fn () => $transaction->exec();
        self::thrown(ClientException::class, static fn () => $transaction->executeCommand(self::preparing()));
        self::assertSame(['1', null], [$redis->get('x'), $redis->get('n')]);
        $transaction->set('x', 2);
        $ending = new class($transaction) {
            public function __construct(private Transaction $transaction)
            {
            }

            public function __toString(): string
            {
                $this->transaction->exec();

                return 'text';
            }
        };
        self::thrown(ClientException::class, static fn () => $transaction->set('y', $ending));
        self::assertSame(['2', null], [$redis->get('x'), $redis->get('y')]);
        self::assertSame(['PONG'], $transaction->ping()->exec(), 'it goes on');
    }

    public function test_a_command_whose_code_uses_the_pipeline_stands_behind_that(): void
    {
        $redis = self::client();
        $pipe = $redis->pipeline();
        Preparing::$action = static function () use ($pipe): void {
            Preparing::$action = null;
            $pipe->set('x', 1)->flushPipeline()->set('y', 2);
        };
        self::assertSame([null, 'OK', 'OK', 5], $pipe->get('none')->executeCommand(self::preparing())->execute());
    }

    private static function preparing(): Preparing
    {
        $command = new Preparing();
        $command->setArguments(['n', 5]);

        return $command;
    }

    /** @return iterable<string, array{string, array<string, bool>}> */
    public static function queues(): iterable
    {
        yield 'a pipeline' => ['pipeline', []];
        yield 'an atomic pipeline' => ['pipeline', ['atomic' => true]];
        yield 'a transaction' => ['transaction', []];
    }

    /**
     * @dataProvider queues
     *
     * @param array<string, bool> $options
     */
    public function test_replies_beside_an_error_are_parsed_too(string $method, array $options): void
    {
        $redis = self::client(['commands' => ['jsonget' => JsonGet::class]]);
        $redis->mset(['k' => '{"a":1}', 'bad' => 'no json']);
        $queue = static fn (string ...$keys): callable => static function (Pipeline|Transaction $queue) use ($keys): void {
            $queue->jsonget('k')->lpush('k', 'x');
            array_map(static fn (string $key) => $queue->jsonget($key), $keys);
        };
        $exception = self::thrown(ServerException::class, static fn () => $redis->$method($options, $queue('k')));
        $replies = $exception->getReplies();
        self::assertSame([['a' => 1], ['a' => 1], 1], [$replies[0], $replies[2], $exception->getIndex()]);
        $exception = self::thrown(ServerException::class, static fn () => $redis->$method($options, $queue('bad', 'k')));
        self::assertInstanceOf(\JsonException::class, $exception->getPrevious(), 'what a parser throws is not lost');
        self::assertSame([['a' => 1], 'no json'], [$exception->getReplies()[0], $exception->getReplies()[2]]);
        self::assertSame('{"a":1}', $redis->get('k'));
    }

    public function test_a_parser_beside_an_error_may_use_the_pipeline(): void
    {
        $redis = self::client(['commands' => ['meddle' => Meddling::class]]);
        $redis->set('k', 'v');
        $pipe = $redis->pipeline();
        Meddling::$action = static fn () => count($pipe->incr('n')->flushPipeline());
        $exception = self::thrown(ServerException::class, static fn () => $pipe->meddle('k')->lpush('k', 'x')->execute());
        self::assertSame(['v', 0], $exception->getReplies()[0]);
        self::assertSame('1', $redis->get('n'), 'what was answered is not sent a second time');
        self::assertSame([], $pipe->execute());
        Meddling::$action = null;
    }

    public function test_raw_words_are_those_of_queues_too_and_have_no_prefix(): void
    {
        $redis = self::client(['commands' => 'raw']);
        $words = static fn (ResilientRedis|Pipeline $on) => $on->zadd('z', 'NX', 1, 'a');
        self::assertSame(1, $words($redis));
        self::assertSame([0], $redis->pipeline($words));
        $record = static fn (Pipeline $pipe) => $pipe->zrange('z', 0, -1, 'WITHSCORES')->hgetall('h');
        self::assertSame([['a', '1'], []], $redis->pipeline($record));
        $exception = self::thrown(ConfigurationException::class, static fn () => self::client(['commands' => 'raw', 'prefix' => 'app:']));
        self::assertStringContainsString('raw', $exception->getMessage());
        self::assertSame('PONG', self::client(['commands' => 'raw', 'prefix' => ''])->ping());
    }

    public function test_objects_prefix_and_returned_errors_go_together(): void
    {
        $redis = self::client(['commands' => ['loud' => LoudGet::class], 'prefix' => 'app:', 'exceptions' => false]);
        $redis->set('k', 'v');
        $redis->rpush('l', ['x']);
        self::assertSame('v', self::shared()->command('GET', 'app:k'));
        $list = static fn (Pipeline|Transaction $queue) => $queue->loud('k')->loud('l')->executeCommand(new RawCommand('MGET', ['k', 'l']));
        foreach ([$redis->pipeline($list), $redis->pipeline(['atomic' => true], $list), $redis->transaction($list), [$redis->loud('k'), $redis->loud('l'), $redis->executeCommand(new RawCommand('MGET', ['k', 'l']))]] as $replies) {
            self::assertSame(['<v>', ['v', null]], [$replies[0], $replies[2]]);
            self::assertInstanceOf(Error::class, $replies[1]);
        }
        self::assertSame(['k'], $redis->createCommand('get', ['k'])->getArguments(), 'the prefix comes when it is sent');
        self::assertSame('v', $redis->executeCommand($redis->createCommand('get', ['k'])));
    }
}
