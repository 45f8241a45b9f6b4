<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\Pipeline;
use ResilientRedis\Response\Error;
use ResilientRedis\ServerException;
use ResilientRedis\Transaction;
use Tests\Fixtures\Add;
use Tests\Fixtures\Failing;
use Tests\Fixtures\FirstField;
use Tests\Fixtures\Foreign;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

require_once __DIR__ . '/Fixtures/commands/scripts.php';

/** Scripts as classes, and functions. */
final class ScriptsTest extends RedisTestCase
{
    private const SCRIPTS = ['add' => Add::class, 'FIRSTfield' => FirstField::class, 'fail' => Failing::class, 'foreign' => Foreign::class];

    protected function setUp(): void
    {
        parent::setUp();
        self::shared()->command('SCRIPT', 'FLUSH');
        self::shared()->command('CONFIG', 'RESETSTAT');
    }

    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    private static function scripted(int $protocol = 2): ResilientRedis
    {
        return self::client(['commands' => self::SCRIPTS, 'protocol' => $protocol]);
    }

    /** How often the server was called so, and refused nothing. */
    private static function calls(string $command): int
    {
        $text = (string) self::shared()->command('INFO', 'commandstats');

        return preg_match("/cmdstat_$command:calls=(\\d+)/", $text, $found) === 1 ? (int) $found[1] : 0;
    }

    /** @dataProvider protocols */
    public function test_a_script_is_sent_by_its_digest_and_by_its_text_where_the_server_has_it_not(int $protocol): void
    {
        $redis = self::scripted($protocol);
        $unknown = $redis->stats()['unknown'];
        self::assertSame([5, 7], [$redis->add('n', 5), $redis->ADD('n', 2)]);
        self::assertSame([2, 1], [self::calls('evalsha'), self::calls('eval')]);
        self::shared()->command('SCRIPT', 'FLUSH');
        self::assertSame([8, 9], [$redis->add('n', 1), $redis->add('n', 1)], 'after SCRIPT FLUSH');
        self::assertSame(2, self::calls('eval'));
        self::assertSame($unknown, $redis->stats()['unknown']);
    }

    /** @dataProvider protocols */
    public function test_keys_may_be_counted_from_the_end_and_a_reply_parsed(int $protocol): void
    {
        $redis = self::scripted($protocol);
        $redis->hset('a', 'f', 1);
        self::assertSame(['a' => '1', 'b' => ''], $redis->firstField('a', 'b', 'f'));
        self::assertSame(['a' => '1'], $redis->firstField('a', 'f'));
        self::assertSame([2, 1, 0], [self::calls('evalsha_ro'), self::calls('eval_ro'), self::calls('evalsha')], 'it only reads');
    }

    public function test_a_class_that_is_none_of_ours_is_known_by_its_methods(): void
    {
        $redis = self::scripted();
        self::assertSame(['HI!', 'HO!'], [$redis->foreign('hi'), $redis->foreign('ho')]);
        self::assertSame([2, 1], [self::calls('evalsha'), self::calls('eval')]);
    }

    /** @dataProvider protocols */
    public function test_in_a_pipeline_the_first_use_brings_the_script(int $protocol): void
    {
        $redis = self::scripted($protocol);
        for ($round = 1; $round <= 2; $round++) {
            $replies = $redis->pipeline(static fn (Pipeline $pipe) => $pipe->add('n', 1)->set('k', 'v')->add('n', 1)->firstfield('k2', 'f')->foreign('x'));
            self::assertSame([2 * $round - 1, 'OK', 2 * $round, ['k2' => ''], 'X!'], $replies);
            self::shared()->command('SCRIPT', 'FLUSH');
        }
        $replies = $redis->pipeline(['atomic' => true], static fn (Pipeline $pipe) => $pipe->add('n', 1)->add('n', 1)->firstfield('k2', 'f'));
        self::assertSame([5, 6, ['k2' => '']], $replies);
        self::assertSame([], $redis->pipeline(['fire-and-forget' => true], static fn (Pipeline $pipe) => $pipe->add('n', 1)));
        self::assertSame('7', $redis->get('n'));
    }

    public function test_a_flush_inside_of_a_pipeline_and_a_transaction_of_its_own_lose_no_script(): void
    {
        $redis = self::scripted();
        $replies = $redis->pipeline(static function (Pipeline $pipe): void {
            $pipe->add('n', 1)->script('FLUSH')->add('n', 1)->multi()->add('n', 1)->add('n', 1)->exec()->add('n', 1);
        });
        self::assertSame([1, 'OK', 2, 'OK', 'QUEUED', 'QUEUED', [3, 4], 5], $replies);
        $replies = $redis->pipeline(['exceptions' => false], static fn (Pipeline $pipe) => $pipe->executeCommand(self::wrong())->add('n', 1));
        self::assertInstanceOf(Error::class, $replies[0]);
        self::assertSame(6, $replies[1], 'the first use was refused before the text was looked at');
    }

    private static function wrong(): Add
    {
        $command = new Add();
        $command->setArguments(['n', 1]);
        $command->setRawArguments([$command->getArgument(0), 7, 'n', 1]);

        return $command;
    }

    /** @dataProvider protocols */
    public function test_a_transaction_is_not_lost_to_a_script_that_the_server_does_not_have(int $protocol): void
    {
        $redis = self::scripted($protocol);
        for ($round = 1; $round <= 2; $round++) {
            $replies = $redis->transaction(static fn (Transaction $transaction) => $transaction->add('n', 1)->get('n')->add('n', 1)->firstfield('k2', 'f'));
            self::assertSame([2 * $round - 1, (string) (2 * $round - 1), 2 * $round, ['k2' => '']], $replies);
            self::shared()->command('SCRIPT', 'FLUSH');
        }
        $replies = $redis->transaction(['cas' => true, 'watch' => 'n'], static function (Transaction $transaction): void {
            self::assertSame(5, $transaction->add('m', 5), 'at once, on the watching connection');
            $transaction->multi();
            $transaction->add('n', 1);
        });
        self::assertSame([5], $replies);
        $redis->multi();
        self::assertSame('QUEUED', $redis->foreign('x'), 'what is queued is not parsed');
        self::assertSame(['x!'], $redis->exec());
    }

    public function test_a_script_finds_its_way_to_a_server_that_takes_over(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints(), ['commands' => self::SCRIPTS]);
        self::assertSame([1, 2], [$redis->add('n', 1), $redis->add('n', 1)]);
        Wait::until('the replica has both', static fn (): bool => $set->replica()->command('GET', 'n') === '2');
        $set->promote($set->replica());
        self::assertSame(3, $redis->add('n', 1));
        self::assertSame([4, 5], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->add('n', 1)->add('n', 1)));
    }

    public function test_a_script_that_only_reads_is_read_from_a_replica_that_does_not_have_it(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->primary()->endpoint(), ['commands' => self::SCRIPTS, 'read_from' => 'replica']);
        $redis->hset('a', 'f', 1);
        Wait::until('the replica has it', static fn (): bool => $set->replica()->command('EXISTS', 'a') === 1);
        self::assertSame([['a' => '1'], ['a' => '1']], [$redis->firstField('a', 'f'), $redis->firstField('a', 'f')]);
        $calls = static fn (RedisServer $node): array => [$node->calls('evalsha_ro'), $node->calls('eval_ro')];
        self::assertSame([[2, 1], [0, 0]], [$calls($set->replica()), $calls($set->primary())]);
        self::assertSame([['a' => '1'], ['a' => '1']], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->firstField('a', 'f')->firstField('a', 'f')));
    }

    /** @dataProvider protocols */
    public function test_the_replicas_are_waited_for_behind_the_text_of_a_script_too(int $protocol): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints(), ['commands' => self::SCRIPTS, 'min_replicas' => ['count' => 1, 'timeout' => 3], 'protocol' => $protocol]);
        $redis->set('k', 'v');
        $waited = $set->primary()->calls('wait');
        self::assertSame([1, 2], [$redis->add('n', 1), $redis->add('n', 1)]);
        self::assertSame('2', $set->replica()->command('GET', 'n'), 'it was waited for');
        self::assertGreaterThanOrEqual(2, $set->primary()->calls('wait') - $waited);
        self::assertSame(1, $set->primary()->calls('eval'));
        self::assertSame([3, 4], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->add('n', 1)->add('n', 1)));
        self::assertSame('4', $set->replica()->command('GET', 'n'));
        self::assertSame('v', $redis->get('k'), 'the connection is in step');
    }

    /** @dataProvider protocols */
    public function test_the_keys_of_a_script_have_the_prefix(int $protocol): void
    {
        $redis = self::client(['commands' => self::SCRIPTS, 'prefix' => 'app:', 'protocol' => $protocol]);
        self::assertSame([1, 2], [$redis->add('n', 1), $redis->add('n', 1)]);
        self::assertSame([3, 4], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->add('n', 1)->add('n', 1)));
        self::assertSame([5, 6], $redis->transaction(static fn (Transaction $all) => $all->add('n', 1)->add('n', 1)));
        self::assertSame(['m' => ''], $redis->firstField('m', 'f'), 'the object sees what it was given');
        self::assertSame('N!', $redis->foreign('n'), 'what is no key has none');
        self::assertSame(['app:n'], self::shared()->command('KEYS', '*'));
        self::assertSame('6', self::shared()->command('GET', 'app:n'));
    }

    /** @dataProvider protocols */
    public function test_errors_of_scripts_are_values_without_exceptions(int $protocol): void
    {
        $redis = self::client(['commands' => self::SCRIPTS, 'exceptions' => false, 'protocol' => $protocol]);
        $seen = [$redis->fail('n'), ...$redis->pipeline(static fn (Pipeline $pipe) => $pipe->fail('n')->add('n', 1))];
        self::assertSame([Error::class, Error::class, 'integer'], array_map(static fn (mixed $reply): string => is_object($reply) ? $reply::class : gettype($reply), $seen));
        self::assertSame('MINE', $seen[0]->getErrorType());
        self::assertSame(3, $seen[2], 'each ran once');
        self::assertInstanceOf(Error::class, $redis->firstField('n', 'f'), 'a parser sees no error');
    }

    public function test_an_error_of_the_script_is_thrown_and_the_script_ran_once(): void
    {
        $redis = self::scripted();
        $exception = self::thrown(ServerException::class, static fn () => $redis->fail('n'));
        self::assertSame('MINE', $exception->getErrorType());
        self::thrown(ServerException::class, static fn () => $redis->fail('n'));
        self::assertSame('2', $redis->get('n'));
        $exception = self::thrown(ServerException::class, static fn () => $redis->evalsha(sha1('return 1'), 0));
        self::assertSame('NOSCRIPT', $exception->getErrorType(), 'who calls EVALSHA himself means it');
    }

    public function test_what_is_wrong_with_a_script_class_is_said_before_anything_is_sent(): void
    {
        $redis = self::scripted();
        $exception = self::thrown(ClientException::class, static fn () => $redis->firstfield());
        self::assertStringContainsString('getKeysCount', $exception->getMessage());
        self::assertSame([0, 0], [self::calls('evalsha'), self::calls('eval')]);
    }

    public function test_a_script_object_tells_what_it_is(): void
    {
        $command = self::scripted()->createCommand('firstField', ['a', 'b', 'f']);
        self::assertInstanceOf(FirstField::class, $command);
        self::assertSame(['EVALSHA_RO', ['a', 'b'], sha1($command->getScript())], [$command->getId(), $command->getKeys(), $command->getScriptHash()]);
        self::assertSame([sha1($command->getScript()), 2, 'a', 'b', 'f'], $command->getArguments());
        self::assertSame([2, null], [$command->getArgument(1), $command->getArgument(9)]);
    }

    /** @dataProvider protocols */
    public function test_functions_are_loaded_and_called_as_with_predis(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        $library = "#!lua name=mine\n"
            . "redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)\n"
            . "redis.register_function{function_name='look', callback=function(keys, args) return redis.call('GET', keys[1]) end, flags={'no-writes'}}";
        self::assertSame('mine', $redis->function('LOAD', $library));
        self::thrown(ServerException::class, static fn () => $redis->function('LOAD', $library));
        self::assertSame('mine', $redis->function('LOAD', $library, true));
        self::assertSame('OK', $redis->fcall('put', ['k'], 'v'));
        self::assertSame(['v', 'v'], [$redis->fcall('look', ['k']), $redis->fcall_ro('look', ['k'])]);
        self::thrown(ServerException::class, static fn () => $redis->fcall_ro('put', ['k'], 'w'));
        self::assertSame(['OK', 'v'], $redis->pipeline(static fn (Pipeline $pipe) => $pipe->fcall('put', ['k'], 'v')->fcall_ro('look', ['k'])));
        $redis->function('FLUSH');
    }
}
