<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\Pipeline;
use ResilientRedis\Response\Error;
use ResilientRedis\ServerException;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\Scratch;

/** Pipelines as Predis users write them. */
final class PipelineTest extends RedisTestCase
{
    public function test_commands_are_collected_and_their_replies_are_a_list_in_the_same_order(): void
    {
        $redis = self::client();
        $pipeline = $redis->pipeline();
        self::assertInstanceOf(Pipeline::class, $pipeline);
        self::assertSame($pipeline, $pipeline->set('k', 'v')->incr('n')->get('k')->get('nothing'));
        self::assertCount(4, $pipeline);
        self::assertNull(self::shared()->command('GET', 'k'), 'nothing is sent before execute()');
        self::assertSame(['OK', 1, 'v', null], $pipeline->execute());
        self::assertCount(0, $pipeline);
        self::assertSame([], $pipeline->execute(), 'what was executed is not executed again');
        self::assertSame($redis, $pipeline->getClient());
    }

    public function test_a_callable_is_given_the_pipeline(): void
    {
        $replies = self::client()->pipeline(static function (Pipeline $pipeline): void {
            $pipeline->set('k', 'v');
            $pipeline->get('k');
        });
        self::assertSame(['OK', 'v'], $replies);
        self::assertSame(['v'], self::client()->pipeline()->execute(static fn (Pipeline $pipeline) => $pipeline->get('k')));
        self::assertSame([], self::client()->pipeline(static fn () => null));
        self::assertSame(['v'], self::client()->pipeline([], [$this, 'getsK']), 'any callable');
        self::assertSame(['v'], self::client()->pipeline([$this, 'getsK']), 'an array that can be called is no options');
        self::assertSame(['v'], self::client()->pipeline(null, $this->getsK(...)));
    }

    public function getsK(Pipeline $pipeline): void
    {
        $pipeline->get('k');
    }

    public function test_replies_have_the_shape_that_they_have_by_themselves(): void
    {
        $redis = self::client();
        $commands = [
            ['hset', 'h', ['a' => 1, 'b' => 2]], ['hgetall', 'h'], ['hgetall', 'nothing'], ['config', 'GET', 'maxmemory'],
            ['mget', ['h2', 'k']], ['lrange', 'nothing', 0, -1], ['type', 'h'], ['noSuchThing'], ['hgetall', 'h'],
        ];
        $single = array_map(static function (array $command) use ($redis): mixed {
            try {
                return $redis->{$command[0]}(...array_slice($command, 1));
            } catch (ServerException $exception) {
                return $exception->getMessage();
            }
        }, $commands);
        self::shared()->command('FLUSHALL');
        $together = $redis->pipeline(['exceptions' => false], static function (Pipeline $pipeline) use ($commands): void {
            foreach ($commands as $command) {
                $pipeline->{$command[0]}(...array_slice($command, 1));
            }
        });
        $together = array_map(static fn (mixed $reply): mixed => $reply instanceof Error ? $reply->getMessage() : $reply, $together);
        self::assertSame($single, $together);
        self::assertSame(['a' => '1', 'b' => '2'], $together[1]);
    }

    public function test_resp3_maps_are_shaped_too(): void
    {
        $redis = self::client(['protocol' => 3]);
        $replies = $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->hset('h', ['a' => 1])->hgetall('h')->smembers('nothing'));
        self::assertSame([1, ['a' => '1'], []], $replies);
    }

    public function test_the_first_error_is_thrown_with_all_replies_and_its_place(): void
    {
        $redis = self::client();
        $before = self::shared()->counters();
        $exception = self::thrown(ServerException::class, static fn () => $redis->pipeline(static function (Pipeline $pipeline): void {
            $pipeline->set('k', 'v');
            $pipeline->lpush('k', 'x');
            $pipeline->get('k');
        }));
        self::assertStringStartsWith('WRONGTYPE ', $exception->getMessage());
        self::assertSame(['WRONGTYPE', 'LPUSH', 1], [$exception->getErrorType(), $exception->getCommand(), $exception->getIndex()]);
        $replies = $exception->getReplies();
        self::assertSame(['OK', 'v'], [$replies[0], $replies[2]], 'what stands behind it was executed');
        self::assertInstanceOf(Error::class, $replies[1]);
        self::assertSame('v', $redis->get('k'));
        self::assertLessThanOrEqual(1, self::shared()->counters()->since($before)->connections, 'the connection stays');
    }

    public function test_without_exceptions_errors_stand_in_their_place(): void
    {
        $replies = self::client()->pipeline(['exceptions' => false], static fn (Pipeline $pipeline) => $pipeline->set('k', 'v')->lpush('k', 'x')->get('k'));
        self::assertSame(['OK', 'v'], [$replies[0], $replies[2]]);
        self::assertInstanceOf(Error::class, $replies[1]);
        self::assertSame('WRONGTYPE', $replies[1]->getErrorType());
    }

    public function test_flushing_sends_what_is_there_and_its_replies_come_at_the_end(): void
    {
        $seen = null;
        $replies = self::client()->pipeline(function (Pipeline $pipeline) use (&$seen): void {
            $pipeline->set('k', 'v');
            self::assertSame($pipeline, $pipeline->flushPipeline());
            $seen = self::shared()->command('GET', 'k');
            $pipeline->set('k', 'never')->flushPipeline(false);
            $pipeline->get('k');
        });
        self::assertSame([['OK', 'v'], 'v'], [$replies, $seen]);
    }

    public function test_an_error_behind_a_flush_has_its_place_among_all_replies(): void
    {
        $exception = self::thrown(ServerException::class, static fn () => self::client()->pipeline(static function (Pipeline $pipeline): void {
            $pipeline->set('k', 'v')->get('k')->flushPipeline()->get('k')->lpush('k', 'x');
        }));
        self::assertSame([3, 'LPUSH', 4], [$exception->getIndex(), $exception->getCommand(), count($exception->getReplies())]);
    }

    public function test_what_a_callable_throws_leaves_nothing_sent(): void
    {
        $redis = self::client();
        $exception = new \DomainException('mine');
        foreach ([[], ['atomic' => true], ['fire-and-forget' => true]] as $options) {
            $thrown = self::thrown(\DomainException::class, static fn () => $redis->pipeline($options, static function (Pipeline $pipeline) use ($exception): void {
                $pipeline->set('k', 'v');
                throw $exception;
            }));
            self::assertSame($exception, $thrown);
            self::assertNull($redis->get('k'));
        }
        $pipeline = $redis->pipeline();
        self::thrown(\DomainException::class, static fn () => $pipeline->execute(static function (Pipeline $pipeline) use ($exception): void {
            $pipeline->set('k', 'v');
            throw $exception;
        }));
        self::assertSame(['PONG'], $pipeline->ping()->execute(), 'the object goes on without what it had');
        self::assertNull($redis->get('k'));
    }

    public function test_a_generator_that_is_left_half_way_leaves_nothing_sent(): void
    {
        $redis = self::client();
        $generator = (static function () use ($redis): \Generator {
            $pipeline = $redis->pipeline();
            foreach (['a', 'b'] as $key) {
                $pipeline->set($key, 'v');
                yield $key;
            }
            $pipeline->execute();
        })();
        $generator->current();
        unset($generator);
        self::assertSame([null, 0], [$redis->get('a'), $redis->stats()['connections']['leased']]);
    }

    public function test_an_atomic_pipeline_is_one_transaction_in_one_write(): void
    {
        $redis = self::client();
        $before = self::shared()->calls('exec');
        $replies = $redis->pipeline(['atomic' => true], static fn (Pipeline $pipeline) => $pipeline->hset('h', ['a' => 1])->hgetall('h')->incr('n'));
        self::assertSame([1, ['a' => '1'], 1], $replies);
        self::assertSame($before + 1, self::shared()->calls('exec'));
        self::assertSame([], $redis->pipeline(['atomic' => true], static fn () => null));
        self::assertSame($before + 1, self::shared()->calls('exec'), 'nothing to execute, nothing sent');
        $pipeline = $redis->pipeline(['atomic' => true])->get('n');
        self::assertCount(1, $pipeline);
        self::assertSame(['1', 2], $pipeline->flushPipeline()->incr('n')->execute());
    }

    public function test_an_atomic_pipeline_is_discarded_whole_if_one_command_cannot_be_queued(): void
    {
        $redis = self::client();
        $exception = self::thrown(ServerException::class, static fn () => $redis->pipeline(['atomic' => true], static fn (Pipeline $pipeline) => $pipeline->set('k', 'v')->get()));
        self::assertStringContainsString('wrong number of arguments', $exception->getMessage());
        self::assertNull($redis->get('k'));
        $exception = self::thrown(ServerException::class, static fn () => $redis->pipeline(['atomic' => true], static fn (Pipeline $pipeline) => $pipeline->set('k', 'v')->lpush('k', 'x')));
        self::assertSame([1, 'WRONGTYPE'], [$exception->getIndex(), $exception->getErrorType()]);
        self::assertSame('OK', $exception->getReplies()[0], 'an error of execution undoes nothing: that is how Redis works');
    }

    public function test_fire_and_forget_returns_nothing_and_leaves_a_clean_connection(): void
    {
        $redis = self::client();
        self::assertSame([], $redis->pipeline(['fire-and-forget' => true], static fn (Pipeline $pipeline) => $pipeline->set('k', 'v')->lpush('k', 'x')->incr('n')));
        self::assertSame(['v', '1'], [$redis->get('k'), $redis->get('n')]);
        self::assertSame([], $redis->pipeline(['fire-and-forget' => true, 'atomic' => true], static fn (Pipeline $pipeline) => $pipeline->incr('n')));
        self::assertSame('2', $redis->get('n'));
    }

    public function test_a_transaction_may_be_written_by_hand_within_a_pipeline(): void
    {
        $replies = self::client()->pipeline(static function (Pipeline $pipeline): void {
            $pipeline->set('k', 'v')->multi()->hset('h', ['a' => 1])->hgetall('h')->exec()->get('k');
        });
        self::assertSame(['OK', 'OK', 'QUEUED', 'QUEUED', [1, ['a' => '1']], 'v'], $replies);
    }

    public function test_a_pipeline_within_the_client_s_own_transaction_is_queued_by_it(): void
    {
        $redis = self::client();
        $redis->multi();
        self::assertSame(['QUEUED', 'QUEUED'], $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->incr('n')->incr('n')));
        self::assertSame([1, 2], $redis->exec());
    }

    public function test_select_within_a_pipeline_stays_with_the_object(): void
    {
        $redis = self::client();
        self::assertSame(['OK', 'OK'], $redis->pipeline(static fn (Pipeline $pipeline) => $pipeline->select(3)->set('k', 'of 3')));
        self::assertSame([null, 'of 3'], [self::client()->get('k'), $redis->get('k')]);
    }

    /** @dataProvider misuses */
    public function test_misuse_is_said_before_anything_is_sent(callable $misuse, string $exception, string $words): void
    {
        $redis = self::client();
        $before = self::shared()->counters();
        $thrown = self::thrown($exception, static fn () => $misuse($redis));
        self::assertStringContainsString($words, $thrown->getMessage());
        self::assertSame(0, self::shared()->counters()->since($before)->commands);
    }

    /** @return iterable<string, array{callable, class-string, string}> */
    public static function misuses(): iterable
    {
        yield 'SUBSCRIBE' => [static fn (ResilientRedis $r) => $r->pipeline()->subscribe('c'), ClientException::class, 'SUBSCRIBE'];
        yield 'CLIENT SETNAME' => [static fn (ResilientRedis $r) => $r->pipeline()->client('SETNAME', 'x'), ClientException::class, 'CLIENT'];
        yield 'WATCH' => [static fn (ResilientRedis $r) => $r->pipeline()->watch('k'), ClientException::class, 'WATCH'];
        yield 'MULTI without EXEC' => [static fn (ResilientRedis $r) => $r->pipeline()->multi()->set('k', 'v')->execute(), ClientException::class, 'MULTI'];
        yield 'MULTI in an atomic one' => [static fn (ResilientRedis $r) => $r->pipeline(['atomic' => true])->set('k', 'v')->multi(), ClientException::class, 'MULTI'];
        yield 'execute within execute' => [static fn (ResilientRedis $r) => $r->pipeline(static fn (Pipeline $p) => $p->set('k', 'v')->execute()), ClientException::class, 'executed already'];
        yield 'an unknown option' => [static fn (ResilientRedis $r) => $r->pipeline(['atomc' => true]), ConfigurationException::class, '`atomc`'];
        yield 'a wrong value' => [static fn (ResilientRedis $r) => $r->pipeline(['atomic' => 'yes']), ConfigurationException::class, '`atomic`'];
        yield 'no callable' => [static fn (ResilientRedis $r) => $r->pipeline('no such function'), ConfigurationException::class, '`pipeline`'];
        yield 'a wrong argument' => [static fn (ResilientRedis $r) => $r->pipeline()->get(new \stdClass()), ClientException::class, 'GET'];
        yield 'made by hand' => [static fn () => (new Pipeline())->get('k')->execute(), ClientException::class, 'pipeline()'];
        yield 'no command' => [static fn (ResilientRedis $r) => $r->pipeline()->push(), ClientException::class, 'push()'];
    }

    public function test_it_can_neither_be_copied_nor_serialised_nor_extended(): void
    {
        self::thrown(\Error::class, static fn () => clone self::client()->pipeline());
        self::thrown(\Exception::class, static fn () => serialize(self::client()->pipeline()));
        self::assertTrue((new \ReflectionClass(Pipeline::class))->isFinal());
    }

    public function test_it_has_the_methods_of_the_client_s_table(): void
    {
        $missing = [];
        foreach (file(__DIR__ . '/Fixtures/commands-of-predis.txt', FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) ?: [] as $line) {
            $name = explode("\t", $line)[0];
            foreach ([Pipeline::class, ResilientRedis\Transaction::class] as $class) {
                if (!method_exists($class, $name)) {
                    $missing[] = "$class::$name";
                }
            }
        }
        self::assertSame([], $missing);
    }

    public function test_a_client_stays_while_its_pipeline_does(): void
    {
        $pipeline = self::client()->pipeline();
        gc_collect_cycles();
        self::assertSame(['PONG'], $pipeline->ping()->execute());
        $redis = self::client();
        $redis->onEvent(static fn () => $redis->pipeline()); // a cycle, for the collector
        unset($redis);
        self::assertIsInt(gc_collect_cycles());
    }

    public function test_a_hundred_thousand_commands_go_through(): void
    {
        $redis = self::client();
        $replies = $redis->pipeline(static function (Pipeline $pipeline): void {
            for ($i = 0; $i < 100_000; $i++) {
                $pipeline->incr('n');
            }
        });
        self::assertSame(range(1, 100_000), $replies);
    }

    public function test_both_sides_buffers_may_fill_without_a_deadlock(): void
    {
        $redis = self::client();
        $large = str_repeat('0123456789', 10_000);
        $redis->set('large', $large);
        $replies = $redis->pipeline(static function (Pipeline $pipeline) use ($large): void {
            for ($i = 0; $i < 200; $i++) {
                $pipeline->set("copy $i", $large)->get('large');
            }
        });
        self::assertCount(400, $replies);
        self::assertSame([$large], array_values(array_unique(array_filter($replies, static fn (string $reply): bool => $reply !== 'OK'))));
    }

    public function test_a_million_commands_need_little_more_memory_than_their_replies(): void
    {
        $run = Process::run(Extension::php(__DIR__ . '/Fixtures/million.php', [], self::shared()->endpoint(), '1000000'));
        self::assertSame(0, $run->wait(), $run->output() . $run->errors());
        ['replies' => $replies, 'before' => $before, 'peak' => $peak] = json_decode($run->output(), true);
        self::assertSame(1_000_000, $replies);
        // The commands themselves would take 47 MB, and the place of each 24 MB more.
        self::assertLessThan(48 * 1024, $peak - $before, 'KB of memory beyond the list of replies: ' . $run->output());
    }

    public function test_a_pipeline_of_a_thousand_commands_is_one_send_and_few_receives(): void
    {
        $report = Scratch::folder('strace') . '/report';
        $program = Extension::php(__DIR__ . '/Fixtures/pipelines.php', [], self::shared()->endpoint(), '50', '1000');
        $process = new Process(['strace', '-f', '-c', '-o', $report, ...$program]);
        self::assertSame(0, $process->wait(), $process->errors());
        $calls = [];
        foreach (file($report) ?: [] as $line) {
            $fields = preg_split('/\s+/', trim($line)) ?: [];
            if (is_numeric($fields[0])) {
                $calls[end($fields)] = (int) $fields[3];
            }
        }
        $seen = self::seen($calls);
        self::assertLessThanOrEqual(50 + 5, $calls['sendto'], $seen);
        self::assertLessThanOrEqual(50 * 12, $calls['recvfrom'], $seen);
        self::assertLessThanOrEqual(20, ($calls['poll'] ?? 0) + ($calls['ppoll'] ?? 0), $seen);
    }

    public function test_options_by_name_are_refused_rather_than_ignored(): void
    {
        foreach (['pipeline' => ['atomic' => true], 'transaction' => ['cas' => true]] as $method => $named) {
            $exception = self::thrown(ClientException::class, static fn () => self::client()->$method(...$named));
            self::assertStringContainsString('given as an array', $exception->getMessage());
        }
    }
}
