<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\Pipeline;
use ResilientRedis\Transaction;
use Tests\Support\RedisTestCase;

/** Option `prefix`: what goes in front of every key. */
final class PrefixTest extends RedisTestCase
{
    private static function prefixed(mixed $prefix = 'app:', int $protocol = 2): ResilientRedis
    {
        $address = explode(':', self::shared()->address());

        return new ResilientRedis(['host' => $address[0], 'port' => (int) $address[1], 'protocol' => $protocol], ['prefix' => $prefix]);
    }

    /** @return array<string, array{int}> */
    public static function protocols(): array
    {
        return ['RESP2' => [2], 'RESP3' => [3]];
    }

    /** @dataProvider protocols */
    public function test_keys_are_prefixed_wherever_they_stand(int $protocol): void
    {
        $redis = self::prefixed('app:', $protocol);
        $plain = self::client();
        self::assertSame('OK', $redis->set('k', 'v', 'EX', 100));
        self::assertSame(['v', 'v'], [$plain->get('app:k'), $redis->get('k')]);
        $redis->mset(['a' => 1, 'b' => 2]);
        self::assertSame(['1', '2'], $plain->mget('app:a', 'app:b'));
        self::assertSame(['1', '2'], $redis->mget(['a', 'b']));
        self::assertSame(2, $redis->touch('a', 'b'));
        self::assertSame(1, $redis->copy('a', 'c'));
        self::assertSame('embstr', $redis->object('ENCODING', 'k'));
        $redis->zadd('z', ['m' => 1]);
        self::assertSame(1, $redis->zunionstore('z2', ['z'], [3]));
        self::assertSame('3', $plain->executeRaw(['ZSCORE', 'app:z2', 'm']) . '');
        self::assertSame('app:a', $redis->eval('return KEYS[1]', 1, 'a', 'b'));
        $redis->rpush('l', 'x', 'y', 'w');
        self::assertSame(['app:l', 'x'], $redis->blpop(['l'], 1));
        $redis->xadd('s', ['f' => 'v'], '1-1');
        self::assertSame(['app:s' => [['1-1', ['f', 'v']]]], $redis->xread(null, null, ['s'], '0'));
        self::assertSame(7, $redis->del('k', 'a', 'b', 'c', 'z', 'z2', 'l'));
        self::assertSame(['app:s'], $redis->keys('*'));
        self::assertSame(['app:s'], $redis->scan(0, ['match' => 'app:*', 'count' => 1000])[1]);
        self::assertSame(0, $redis->executeRaw(['EXISTS', 's']));
    }

    public function test_patterns_of_a_sort_are_prefixed_with_its_keys(): void
    {
        $redis = self::prefixed();
        $redis->rpush('ids', 1, 2);
        $redis->mset(['w_1' => 2, 'w_2' => 1, 'o_1' => 'one', 'o_2' => 'two']);
        self::assertSame(['2', 'two', '1', 'one'], $redis->sort('ids', ['by' => 'w_*', 'get' => ['#', 'o_*']]));
        self::assertSame(2, $redis->sort('ids', ['by' => 'nosort', 'store' => 'sorted']));
        self::assertSame(2, self::client()->llen('app:sorted'));
    }

    public function test_keys_of_pipelines_and_transactions_are_prefixed(): void
    {
        $redis = self::prefixed();
        self::assertSame(['OK', 'v'], $redis->pipeline(static fn (Pipeline $p) => $p->set('k', 'v')->get('k')));
        self::assertSame('v', self::client()->get('app:k'));
        $replies = $redis->transaction(['watch' => ['k'], 'cas' => true], static function (Transaction $t): void {
            $value = $t->get('k');
            $t->multi();
            $t->set('k2', $value);
        });
        self::assertSame(['OK'], $replies);
        self::assertSame('v', self::client()->get('app:k2'));
        $this->expectException(ResilientRedis\AbortedMultiExecException::class);
        $redis->transaction(['watch' => 'k'], static function (Transaction $t): void {
            self::client()->set('app:k', 'other');
            $t->set('k', 'mine');
        });
    }

    public function test_channels_are_prefixed_in_loops_and_when_published(): void
    {
        $redis = self::prefixed();
        $loop = $redis->pubSubLoop(['subscribe' => 'news']);
        self::assertSame('app:news', $loop->current()->channel);
        self::assertSame(1, $redis->publish('news', 'hello'));
        $loop->next();
        $message = $loop->current();
        self::assertSame(['app:news', 'hello'], [$message->channel, $message->payload]);
        $loop->stop(true);
        $dispatcher = new ResilientRedis\PubSub\DispatcherLoop($redis->pubSubLoop());
        $heard = [];
        $dispatcher->attachCallback('news', static function (string $payload) use (&$heard, $dispatcher): void {
            $heard[] = $payload;
            $dispatcher->stop();
        });
        // What is published before the server has heard of the subscription is heard by nobody.
        $dispatcher->subscriptionCallback(static fn (): int => $redis->publish('news', 'again'));
        $dispatcher->run();
        self::assertSame(['again'], $heard);
    }

    public function test_of_two_fibers_that_construct_one_object_the_second_is_refused(): void
    {
        $redis = (new \ReflectionClass(ResilientRedis::class))->newInstanceWithoutConstructor();
        $construct = static fn (string $prefix): \Fiber => new \Fiber(static function () use ($redis, $prefix): void {
            $ask = static function () use ($prefix): string {
                \Fiber::suspend();

                return $prefix;
            };
            $redis->__construct(self::shared()->endpoint(), ['prefix' => $ask]);
        });
        [$first, $second] = [$construct('first:'), $construct('second:')];
        $first->start();
        $second->start();
        $first->resume();
        $refusal = self::thrown(ClientException::class, static fn () => $second->resume());
        self::assertStringContainsString('constructed already', $refusal->getMessage());
        $redis->set('k', 'v');
        self::assertSame('v', self::shared()->command('GET', 'first:k'));
    }

    public function test_a_prefix_may_be_given_by_a_callable_or_an_object(): void
    {
        $processor = new class () {
            public function getPrefix(): string
            {
                return 'object:';
            }
        };
        $asked = static fn (object $options): string => isset($options->prefix) ? 'called:' : 'strange:';
        foreach ([[$asked, 'called:'], [$processor, 'object:'], [static fn () => $processor, 'object:'], ['strlen', 'strlen'], ['', ''], [null, '']] as [$given, $expected]) {
            self::prefixed($given)->set('k', 'v');
            self::assertSame(1, self::client()->del("{$expected}k"), "no key {$expected}k");
        }
    }

    public function test_what_is_no_prefix_is_refused(): void
    {
        foreach ([true, [1, 2], new \stdClass(), static fn () => []] as $wrong) {
            try {
                self::prefixed($wrong);
                self::fail('a wrong prefix was taken: ' . get_debug_type($wrong));
            } catch (ConfigurationException $e) {
                self::assertStringContainsString('prefix', $e->getMessage());
            }
        }
        $thrown = null;
        try {
            self::prefixed(static fn () => throw new \LogicException('mine'));
        } catch (\LogicException $e) {
            $thrown = $e->getMessage();
        }
        self::assertSame('mine', $thrown);
        $this->expectException(ConfigurationException::class);
        self::prefixed()->withOptions(['prefix' => 'other:']);
    }
}
