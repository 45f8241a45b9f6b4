<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\AbortedMultiExecException;
use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\OutcomeUnknown;
use ResilientRedis\Response\Error;
use ResilientRedis\ServerException;
use ResilientRedis\TimeoutException;
use ResilientRedis\Transaction;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;

/** Transactions as Predis users write them. */
final class TransactionTest extends RedisTestCase
{
    public function test_commands_are_collected_and_executed_together(): void
    {
        $redis = self::client();
        $transaction = $redis->transaction();
        self::assertInstanceOf(Transaction::class, $transaction);
        self::assertSame($transaction, $transaction->set('k', 'v')->hset('h', ['a' => 1])->hgetall('h'));
        self::assertCount(3, $transaction);
        self::assertNull(self::shared()->command('GET', 'k'));
        self::assertSame(['OK', 1, ['a' => '1']], $transaction->execute());
        self::assertSame(['v'], $redis->transaction(static fn (Transaction $transaction) => $transaction->get('k')));
        self::assertSame(['v'], $redis->transaction(null, static fn (Transaction $transaction) => $transaction->get('k')));
        self::assertSame(['v'], $redis->transaction()->get('k')->exec());
        self::assertSame($redis, $transaction->getClient());
    }

    public function test_without_watch_it_is_one_write_and_one_reply(): void
    {
        $redis = self::client();
        $redis->ping();
        $before = self::shared()->counters();
        $redis->transaction(static fn (Transaction $transaction) => $transaction->incr('n')->incr('n'));
        $spent = self::shared()->counters()->since($before);
        self::assertSame([0, 4], [$spent->connections, $spent->commands], 'MULTI, two commands, EXEC');
    }

    public function test_an_empty_one_is_null_and_sends_nothing(): void
    {
        $redis = self::client();
        $redis->ping();
        $before = self::shared()->counters();
        self::assertNull($redis->transaction()->execute());
        self::assertNull($redis->transaction(static fn () => null));
        self::assertSame(0, self::shared()->counters()->since($before)->commands);
    }

    public function test_an_error_of_execution_is_thrown_with_the_replies_or_stands_in_its_place(): void
    {
        $redis = self::client();
        $commands = static fn (Transaction $transaction) => $transaction->set('k', 'v')->lpush('k', 'x')->get('k');
        $exception = self::thrown(ServerException::class, static fn () => $redis->transaction($commands));
        self::assertSame(['WRONGTYPE', 1], [$exception->getErrorType(), $exception->getIndex()]);
        self::assertSame('v', $exception->getReplies()[2]);
        $replies = $redis->transaction(['exceptions' => false], $commands);
        self::assertSame(['OK', 'v'], [$replies[0], $replies[2]]);
        self::assertInstanceOf(Error::class, $replies[1]);
    }

    public function test_a_command_that_cannot_be_queued_aborts_all_of_it(): void
    {
        $redis = self::client();
        $exception = self::thrown(AbortedMultiExecException::class, static fn () => $redis->transaction(static fn (Transaction $transaction) => $transaction->set('k', 'v')->get()));
        self::assertStringContainsString('wrong number of arguments', $exception->getMessage());
        self::assertNull($redis->get('k'));
    }

    public function test_a_user_without_multi_is_told_that_nothing_held_the_commands_together(): void
    {
        self::shared()->command('ACL', 'SETUSER', 'plain', 'on', '>secret', '~*', '+@all', '-multi');
        $redis = self::client(['username' => 'plain', 'password' => 'secret']);
        $exception = self::thrown(ServerException::class, static fn () => $redis->transaction(static fn (Transaction $transaction) => $transaction->incr('n')));
        self::assertSame('NOPERM', $exception->getErrorType());
        self::assertStringContainsString('ran by themselves', $exception->getMessage());
        self::assertSame('1', $redis->get('n'));
    }

    public function test_what_a_callable_throws_leaves_nothing_behind(): void
    {
        $redis = self::client();
        foreach ([[], ['watch' => 'k'], ['watch' => 'k', 'cas' => true]] as $options) {
            self::thrown(\DomainException::class, static fn () => $redis->transaction($options, static function (Transaction $transaction): void {
                $transaction->get('k');
                throw new \DomainException('mine');
            }));
            self::assertSame(0, $redis->stats()['connections']['leased'], 'nothing is pinned: ' . self::seen($options));
        }
        self::shared()->command('SET', 'k', 'changed');
        $redis->multi();
        $redis->get('k');
        self::assertSame(['changed'], $redis->exec(), 'no watch is left');
    }

    public function test_a_transaction_that_is_dropped_under_watch_closes_its_connection(): void
    {
        $redis = self::client();
        $transaction = $redis->transaction(['watch' => 'k', 'cas' => true]);
        $transaction->get('k');
        self::assertSame(1, $redis->stats()['connections']['leased']);
        unset($transaction);
        self::assertSame([0, 'OK'], [$redis->stats()['connections']['leased'], $redis->set('k', 'v')]);
    }

    public function test_with_cas_commands_run_at_once_until_multi(): void
    {
        self::shared()->command('SET', 'n', '5');
        $replies = self::client()->transaction(['cas' => true, 'watch' => 'n'], static function (Transaction $transaction): void {
            $value = (int) $transaction->get('n');
            $transaction->multi();
            $transaction->set('n', $value * 10)->get('n');
        });
        self::assertSame(['OK', '50'], $replies);
    }

    public function test_a_watched_key_that_changed_runs_the_callable_again(): void
    {
        $redis = self::client();
        self::shared()->command('SET', 'n', '1');
        $runs = 0;
        $double = function (Transaction $transaction) use (&$runs): void {
            $value = (int) $transaction->get('n');
            if (++$runs < 3) {
                self::shared()->command('INCR', 'n');
            }
            $transaction->multi();
            $transaction->set('n', $value * 2);
        };
        self::assertSame(['OK'], $redis->transaction(['cas' => true, 'watch' => 'n', 'retry' => 2], $double));
        self::assertSame([3, '6'], [$runs, $redis->get('n')]);

        $runs = 0;
        $exception = self::thrown(AbortedMultiExecException::class, static fn () => $redis->transaction(['cas' => true, 'watch' => ['n', 'm'], 'retry' => 1], $double));
        self::assertStringContainsString('aborted by the server', $exception->getMessage());
        self::assertSame([2, 0], [$runs, $redis->stats()['connections']['leased']]);
    }

    public function test_watch_without_cas_guards_what_is_collected(): void
    {
        $redis = self::client();
        $changes = static function (Transaction $transaction): void {
            self::shared()->command('INCR', 'n');
            $transaction->set('k', 'v');
        };
        self::thrown(AbortedMultiExecException::class, static fn () => $redis->transaction(['watch' => 'n'], $changes));
        self::assertNull($redis->get('k'));
        self::assertSame(['OK'], $redis->transaction(['watch' => 'other'], $changes));
    }

    public function test_fluent_watch_unwatch_multi_and_discard(): void
    {
        $redis = self::client();
        $transaction = $redis->transaction(['cas' => true]);
        self::assertSame('OK', $transaction->watch('k'));
        self::assertNull($transaction->get('k'));
        self::assertSame($transaction, $transaction->multi());
        self::assertSame(['OK'], $transaction->set('k', 'v')->exec());

        $transaction = $redis->transaction();
        $transaction->watch(['k', 'm']);
        self::shared()->command('SET', 'm', 'changed');
        $transaction->unwatch();
        self::assertSame(['v'], $transaction->get('k')->execute());

        $transaction = $redis->transaction(['cas' => true, 'watch' => 'k']);
        $transaction->get('k');
        self::assertSame($transaction, $transaction->multi()->set('k', 'never')->discard());
        self::assertSame([0, 0], [count($transaction), $redis->stats()['connections']['leased']]);
        self::assertSame(['v'], $transaction->get('k')->execute(), 'what follows is collected');
    }

    /** @dataProvider misuses */
    public function test_misuse_is_said(callable $misuse, string $exception, string $words): void
    {
        $redis = self::client();
        self::assertStringContainsString($words, self::thrown($exception, static fn () => $misuse($redis))->getMessage());
        self::assertSame(0, $redis->stats()['connections']['leased']);
    }

    /** @return iterable<string, array{callable, class-string, string}> */
    public static function misuses(): iterable
    {
        yield 'WATCH after MULTI' => [static fn (ResilientRedis $r) => $r->transaction()->set('k', 'v')->watch('k'), ClientException::class, 'after MULTI'];
        yield 'exec within' => [static fn (ResilientRedis $r) => $r->transaction(static fn (Transaction $t) => $t->set('k', 'v')->exec()), ClientException::class, 'not possible inside'];
        yield 'both ways' => [static fn (ResilientRedis $r) => $r->transaction()->set('k', 'v')->execute(static fn () => null), ClientException::class, 'after commands were queued'];
        yield 'retry without a callable' => [static fn (ResilientRedis $r) => $r->transaction(['retry' => 2])->set('k', 'v')->execute(), ClientException::class, 'needs a callable'];
        yield 'a negative retry' => [static fn (ResilientRedis $r) => $r->transaction(['retry' => -1]), ConfigurationException::class, '`retry`'];
        yield 'an option of pipelines' => [static fn (ResilientRedis $r) => $r->transaction(['atomic' => true]), ConfigurationException::class, '`atomic`'];
        yield 'SELECT within' => [static fn (ResilientRedis $r) => $r->transaction()->set('k', 'v')->select(3), ClientException::class, 'SELECT'];
    }

    public function test_a_lost_reply_to_exec_is_unknown_if_anything_in_it_adds_up(): void
    {
        $redis = $this->clientBefore('EXEC', 'lose');
        self::thrown(OutcomeUnknown::class, static fn () => $redis->transaction(static fn (Transaction $t) => $t->set('k', 'v')->incr('n')));
        self::assertSame('1', self::shared()->command('GET', 'n'), 'not a second time');
        $redis = $this->clientBefore('EXEC', 'lose');
        self::assertSame(['OK', 'w'], $redis->transaction(static fn (Transaction $t) => $t->set('k', 'w')->get('k')), 'sent again whole');
    }

    public function test_what_never_arrived_is_sent_again_whole(): void
    {
        $redis = $this->clientBefore('MULTI', 'close', ['retry' => ['ceiling' => 'accumulating']]);
        self::assertSame([1, 2], $redis->transaction(static fn (Transaction $t) => $t->incr('n')->incr('n')));
        self::assertSame('2', self::shared()->command('GET', 'n'));
    }

    public function test_a_watch_that_is_lost_runs_the_callable_again(): void
    {
        foreach ([true, false] as $whileItReads) {
            $redis = self::client();
            $runs = 0;
            $callable = function (Transaction $transaction) use (&$runs, $whileItReads): void {
                $kills = ++$runs === 1;
                if ($kills && $whileItReads) {
                    self::shared()->command('CLIENT', 'KILL', 'TYPE', 'normal');
                }
                $transaction->get('n');
                if ($kills && !$whileItReads) {
                    self::shared()->command('CLIENT', 'KILL', 'TYPE', 'normal');
                }
                $transaction->multi();
                $transaction->incr('k');
            };
            $options = ['cas' => true, 'watch' => 'n', 'retry' => 1];
            self::shared()->command('DEL', 'k');
            self::assertSame([[1], 2], [$redis->transaction($options, $callable), $runs], self::seen($whileItReads));
            $runs = 0;
            self::thrown(AbortedMultiExecException::class, static fn () => $redis->transaction(['retry' => 0] + $options, $callable));
            self::assertSame([1, '1'], [$runs, $redis->get('k')]);
        }
    }

    public function test_a_watched_transaction_whose_exec_may_have_arrived_is_not_run_again(): void
    {
        $redis = $this->clientBefore('MULTI', 'close');
        $runs = 0;
        $callable = static function (Transaction $transaction) use (&$runs): void {
            $runs++;
            $transaction->set('k', 'v');
        };
        self::thrown(OutcomeUnknown::class, static fn () => $redis->transaction(['watch' => 'n', 'retry' => 3], $callable));
        self::assertSame(1, $runs, 'a second run might apply a second time what it worked out from what it read');
    }

    /** @dataProvider endsOfAWatch */
    public function test_nothing_is_sent_if_the_watch_ended_though_the_callable_goes_on(callable $end): void
    {
        $redis = self::client();
        self::shared()->command('SET', 'n', '1');
        $runs = 0;
        $callable = function (Transaction $transaction) use ($redis, $end, &$runs): void {
            $value = (int) $transaction->get('n');
            if (++$runs === 1) {
                $end($redis, $transaction);
                self::shared()->command('SET', 'n', '100');
            }
            $transaction->multi();
            $transaction->set('n', $value + 1);
        };
        $options = ['cas' => true, 'watch' => 'n'];
        $exception = self::thrown(AbortedMultiExecException::class, static fn () => $redis->transaction($options, $callable));
        self::assertStringContainsString('watch of its keys had ended', $exception->getMessage());
        self::assertSame([1, '100', 0], [$runs, $redis->get('n'), $redis->stats()['connections']['leased']]);
        $runs = 0;
        self::shared()->command('SET', 'n', '1');
        self::assertSame([['OK'], '101', 2], [$redis->transaction(['retry' => 1] + $options, $callable), $redis->get('n'), $runs]);
    }

    /** @return iterable<string, array{callable}> */
    public static function endsOfAWatch(): iterable
    {
        $lose = static function (ResilientRedis $redis, Transaction $transaction): void {
            self::shared()->command('CLIENT', 'KILL', 'TYPE', 'normal');
            self::thrown(AbortedMultiExecException::class, static fn () => $transaction->get('n'));
        };
        yield 'its exception was caught' => [$lose];
        yield 'another transaction of the client' => [static fn (ResilientRedis $redis) => $redis->transaction(static fn (Transaction $other) => $other->incr('other'))];
        yield 'a disconnect' => [static fn (ResilientRedis $redis) => $redis->disconnect()];
    }

    public function test_a_lost_watch_may_be_begun_anew(): void
    {
        $redis = self::client();
        $transaction = $redis->transaction(['cas' => true, 'watch' => 'n']);
        $transaction->get('n');
        self::shared()->command('CLIENT', 'KILL', 'TYPE', 'normal');
        self::thrown(AbortedMultiExecException::class, static fn () => $transaction->get('n'));
        $transaction->watch('n');
        self::assertSame(['OK'], $transaction->multi()->set('n', '1')->execute());
    }

    public function test_a_transaction_that_lost_its_watch_leaves_that_of_others_alone(): void
    {
        $redis = self::client();
        $transaction = $redis->transaction(['cas' => true, 'watch' => 'n']);
        $transaction->get('n');
        $redis->unwatch();
        $redis->watch('n');
        $redis->multi();
        $redis->set('k', 'v');
        unset($transaction);
        self::assertSame(['OK'], $redis->exec());
    }

    public function test_a_transaction_that_is_not_sent_ends_its_watch(): void
    {
        $redis = self::client(['request_budget' => 0.2]);
        $callable = static function (Transaction $transaction): void {
            self::thrown(OutcomeUnknown::class, static fn () => self::client(['request_budget' => 0.2])->blpop('none', 1));
            $transaction->multi();
            $transaction->set('k', 'v');
        };
        self::thrown(TimeoutException::class, static fn () => $redis->transaction(['cas' => true, 'watch' => 'n'], $callable));
        self::assertSame(0, $redis->stats()['connections']['leased'], 'nothing is pinned');
    }

    /** @param array<string, mixed> $options */
    private function clientBefore(string $command, string $fault, array $options = []): ResilientRedis
    {
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), $command, $fault));
        $redis = new ResilientRedis($proxy->endpoint(), $options + ['command_timeout' => 5.0]);
        $redis->ping();

        return $redis;
    }
}
