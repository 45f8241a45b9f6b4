<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\SessionHandler;
use ResilientRedis\SessionLockException;
use Tests\Support\FpmMaster;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** Sessions: by a handler that the program registers, and by php.ini alone. */
final class SessionTest extends RedisTestCase
{
    public function test_a_session_lives_under_its_id_for_as_long_as_php_says(): void
    {
        $handler = new SessionHandler(self::client());
        self::assertTrue($handler->open('', 'PHPSESSID'));
        self::assertSame('', $handler->read('abc'));
        self::assertFalse($handler->validateId('abc'));
        self::assertTrue($handler->write('abc', 'n|i:1;'));
        self::assertTrue($handler->validateId('abc'));
        self::assertSame('n|i:1;', $handler->read('abc'));
        self::assertSame((int) ini_get('session.gc_maxlifetime'), self::shared()->command('TTL', 'abc'));
        self::assertTrue($handler->close());
        self::assertTrue($handler->destroy('abc'));
        self::assertSame(0, self::shared()->command('DBSIZE'));
        self::assertSame(0, $handler->gc(10));
        self::assertMatchesRegularExpression('/^[a-zA-Z0-9,-]{22,256}$/', $handler->create_sid());
    }

    public function test_the_handlers_options_are_its_prefix_and_its_lifetime(): void
    {
        $handler = new SessionHandler(self::client(), ['prefix' => 'app:', 'gc_maxlifetime' => 60]);
        $handler->write('abc', "bytes \0 and \xff");
        self::assertSame("bytes \0 and \xff", self::shared()->command('GET', 'app:abc'));
        self::assertSame(60, self::shared()->command('TTL', 'app:abc'));
        self::shared()->command('EXPIRE', 'app:abc', 5);
        $handler->updateTimestamp('abc', 'not looked at');
        self::assertSame(60, self::shared()->command('TTL', 'app:abc'));
        self::assertSame("bytes \0 and \xff", self::shared()->command('GET', 'app:abc'));
    }

    public function test_an_update_of_a_session_that_has_run_out_writes_it_again(): void
    {
        $handler = new SessionHandler(self::client());
        $handler->updateTimestamp('abc', 'data');
        self::assertSame('data', self::shared()->command('GET', 'abc'));
    }

    public function test_wrong_options_and_wrong_arguments_are_refused_by_name(): void
    {
        $thrown = self::thrown(ConfigurationException::class, fn () => new SessionHandler(self::client(), ['lock_wiat' => 1]));
        self::assertStringContainsString('`lock_wait`', $thrown->getMessage());
        self::thrown(ConfigurationException::class, fn () => new SessionHandler(self::client(), ['gc_maxlifetime' => 0]));
        self::thrown(ClientException::class, fn () => new SessionHandler(new \stdClass()));
        $handler = new SessionHandler(self::client());
        self::thrown(ClientException::class, fn () => $handler->read(''));
        self::thrown(ClientException::class, fn () => $handler->write('abc', null));
        $unconstructed = (new \ReflectionClass(SessionHandler::class))->newInstanceWithoutConstructor();
        self::thrown(ClientException::class, fn () => $unconstructed->read('abc'));
    }

    public function test_the_programs_own_transaction_does_not_swallow_the_session(): void
    {
        $client = self::client();
        $handler = new SessionHandler($client);
        $client->multi();
        $client->set('a', 1);
        self::assertTrue($handler->write('abc', 'data'));
        self::assertSame('data', $handler->read('abc'));
        self::assertSame(['OK'], $client->exec());
    }

    public function test_a_locked_session_is_not_read_until_its_holder_closes_it(): void
    {
        $options = ['locking' => true, 'lock_wait' => 0.2];
        [$first, $second] = [new SessionHandler(self::client(), $options), new SessionHandler(self::client(), $options)];
        $first->read('abc');
        $thrown = self::thrown(SessionLockException::class, fn () => $second->read('abc'));
        self::assertStringContainsString('0.2 s (lock_wait)', $thrown->getMessage());
        $first->write('abc', 'of the first');
        $first->close();
        self::assertSame('of the first', $second->read('abc'));
        $second->close();
        self::assertSame(['abc'], self::shared()->command('KEYS', '*'), 'no lock stays behind');
    }

    public function test_who_has_lost_the_lock_does_not_overwrite_what_another_has_written(): void
    {
        $options = ['locking' => true, 'lock_wait' => 0.2, 'lock_ttl' => 0.05];
        [$first, $second] = [new SessionHandler(self::client(), $options), new SessionHandler(self::client(), $options)];
        $first->read('abc');
        $second->read('abc');
        self::thrown(SessionLockException::class, fn () => $first->write('abc', 'of the first'));
        $second->write('abc', 'of the second');
        $second->close();
        self::thrown(SessionLockException::class, fn () => $first->write('abc', 'of the first'));
        $first->close();
        self::assertSame('of the second', self::shared()->command('GET', 'abc'));
    }

    public function test_a_lock_that_a_failover_has_lost_does_not_lose_the_session(): void
    {
        self::shared()->command('SET', 'abc', 'before');
        $handler = new SessionHandler(self::client(), ['locking' => true]);
        self::assertSame('before', $handler->read('abc'));
        // As on a replica that was promoted before the lock was copied to it.
        self::assertSame(1, self::shared()->command('DEL', '{abc}:lock'));
        self::assertTrue($handler->write('abc', 'after'));
        self::assertSame('after', self::shared()->command('GET', 'abc'));
        self::shared()->command('DEL', 'abc');
        self::thrown(SessionLockException::class, fn () => $handler->write('abc', 'a session that was destroyed meanwhile'));
    }

    public function test_the_client_and_its_handler_are_collected_together(): void
    {
        $client = new class (self::shared()->endpoint()) extends \ResilientRedis {
            public ?SessionHandler $sessions = null;
        };
        $client->sessions = new SessionHandler($client);
        $client->sessions->write('abc', 'data');
        $seen = \WeakReference::create($client);
        $client = null;
        gc_collect_cycles();
        self::assertNull($seen->get());
    }

    public function test_a_subclass_may_change_what_is_stored(): void
    {
        $handler = new class (self::client()) extends SessionHandler {
            public function read(string $id): string|false
            {
                return strrev((string) parent::read($id));
            }

            public function write(string $id, string $data): bool
            {
                return parent::write($id, strrev($data));
            }
        };
        $handler->write('abc', 'data');
        self::assertSame('atad', self::shared()->command('GET', 'abc'));
        self::assertSame('data', $handler->read('abc'));
    }

    /** @return iterable<string, array{array<string, string>, array<string, string>}> php.ini, and what the request says */
    public static function ways(): iterable
    {
        yield 'a handler of the program' => [[], ['endpoint' => '{endpoint}', 'options' => '{"locking": true, "prefix": "s:"}']];
        yield 'php.ini alone' => [
            ['session.save_handler' => 'resilient_redis', 'session.save_path' => '"{endpoint}?locking=1&prefix=s:"'],
            [],
        ];
    }

    /**
     * @dataProvider ways
     * @param array<string, string> $ini
     * @param array<string, string> $query
     */
    public function test_requests_of_one_session_that_come_at_once_lose_no_visit(array $ini, array $query): void
    {
        [$ini, $query] = $this->here($ini, $query);
        $fpm = $this->master($ini, 4);
        $pending = [];
        for ($i = 0; $i < 20; $i++) {
            $pending[] = $fpm->send('session.php', $query + ['id' => 'abc', 'takes' => '2000']);
        }
        $visits = array_map(static fn ($request): int => $request->response()->json()['visits'], $pending);
        sort($visits);
        self::assertSame(range(1, 20), $visits);
        self::assertSame('visits|i:20;', self::shared()->command('GET', 's:abc'));
        self::assertSame(['s:abc'], self::shared()->command('KEYS', '*'), 'no lock stays behind');
        self::assertSame('', $fpm->crashes());
    }

    /**
     * @dataProvider ways
     * @param array<string, string> $ini
     * @param array<string, string> $query
     */
    public function test_a_session_changes_its_id_is_destroyed_aborted_and_survives_a_mistake(array $ini, array $query): void
    {
        [$ini, $query] = $this->here($ini, $query);
        $fpm = $this->master($ini, 1);
        $visit = static fn (array $more): array => $fpm->request('session.php', $query + $more)->json();
        self::assertSame(1, $visit(['id' => 'abc'])['visits']);
        self::assertSame(2, $visit(['id' => 'abc', 'do' => 'abort'])['visits']);
        self::assertSame(1, $visit(['id' => 'abc', 'do' => 'reset'])['visits'], 'read again, under the lock that it has');
        self::assertSame(['s:abc'], self::shared()->command('KEYS', '*'), 'no lock stays behind');
        $renamed = $visit(['id' => 'abc', 'do' => 'regenerate']);
        self::assertSame(2, $renamed['visits']);
        self::assertNotSame('abc', $renamed['id']);
        self::assertSame(["s:{$renamed['id']}"], self::shared()->command('KEYS', '*'));
        $failed = $fpm->request('session.php', $query + ['id' => $renamed['id'], 'do' => 'fail']);
        self::assertStringContainsString('the program has a mistake', $failed->body);
        self::assertSame(4, $visit(['id' => $renamed['id']])['visits'], 'PHP writes the session of a program that failed');
        $visit(['id' => $renamed['id'], 'do' => 'destroy']);
        self::assertSame([], self::shared()->command('KEYS', '*'));
        self::assertSame('', $fpm->crashes());
    }

    /**
     * @dataProvider ways
     * @param array<string, string> $ini
     * @param array<string, string> $query
     */
    public function test_a_session_that_did_not_change_is_not_written_and_an_unknown_id_is_not_taken(array $ini, array $query): void
    {
        [$ini, $query] = $this->here($ini, $query);
        $fpm = $this->master($ini + ['session.use_strict_mode' => '1'], 1);
        $first = $fpm->request('session.php', $query + ['id' => 'chosenbyastranger'])->json();
        self::assertNotSame('chosenbyastranger', $first['id']);
        $id = $first['id'];
        self::shared()->command('EXPIRE', "s:$id", 10);
        self::shared()->command('CONFIG', 'RESETSTAT');
        $again = $fpm->request('session.php', $query + ['id' => $id, 'do' => 'nothing'])->json();
        self::assertSame($id, $again['id']);
        self::assertSame(0, self::shared()->calls('set') - 1, 'one SET is the lock');
        self::assertGreaterThan(1000, self::shared()->command('TTL', "s:$id"));
    }

    public function test_a_session_that_is_kept_locked_fails_with_a_clear_exception_and_the_worker_goes_on(): void
    {
        [$ini, $query] = $this->here([], ['endpoint' => '{endpoint}', 'options' => '{"locking": true, "lock_wait": 0.1}']);
        $fpm = $this->master($ini, 1);
        self::shared()->command('SET', '{abc}:lock', 'somebody');
        $refused = $fpm->request('session.php', $query + ['id' => 'abc'])->json();
        self::assertSame(SessionLockException::class, $refused['thrown']);
        self::shared()->command('DEL', '{abc}:lock');
        self::assertSame(1, $fpm->request('session.php', $query + ['id' => 'abc'])->json()['visits']);
    }

    public function test_a_session_that_cannot_be_written_after_the_program_is_a_warning(): void
    {
        $path = '"{endpoint}?locking=1&lock_ttl=0.05"';
        [$ini] = $this->here(['session.save_handler' => 'resilient_redis', 'session.save_path' => $path], []);
        $fpm = $this->master($ini, 1);
        $request = $fpm->send('session.php', ['id' => 'abc', 'takes' => '300000']);
        Wait::until('the request holds the lock', static fn (): bool => self::shared()->command('EXISTS', '{abc}:lock') === 1);
        Wait::until('the lock has run out', static fn (): bool => self::shared()->command('EXISTS', '{abc}:lock') === 0);
        self::shared()->command('SET', 'abc', 'visits|i:7;');
        $answer = $request->response();
        self::assertStringContainsString('its lock ran out (lock_ttl)', $answer->body . $answer->errors);
        self::assertSame('visits|i:7;', self::shared()->command('GET', 'abc'));
        self::assertSame(8, $fpm->request('session.php', ['id' => 'abc'])->json()['visits']);
        self::assertSame('', $fpm->crashes());
    }

    public function test_a_save_path_with_a_mistake_says_so(): void
    {
        $path = '"{endpoint}?lokcing=1"';
        [$ini] = $this->here(['session.save_handler' => 'resilient_redis', 'session.save_path' => $path], []);
        $body = $this->master($ini, 1)->request('session.php', ['id' => 'abc'])->body;
        self::assertStringContainsString('session.save_path.lokcing', $body);
        self::assertStringContainsString('did you mean', $body);
        self::assertStringContainsString('ConfigurationException', $body);
    }

    public function test_sessions_go_on_through_a_failover(): void
    {
        $set = $this->replicaSet(1);
        $path = sprintf('"tcp://%s,tcp://%s?locking=1"', $set->primary()->address(), $set->replica()->address());
        $fpm = $this->master(['session.save_handler' => 'resilient_redis', 'session.save_path' => $path], 1);
        self::assertSame(1, $fpm->request('session.php', ['id' => 'abc'])->json()['visits']);
        Wait::until('the replica has the session', static fn (): bool => $set->replica()->command('GET', 'abc') === 'visits|i:1;');
        $set->primary()->kill();
        $promotion = $set->promoteLater($set->replica(), 0.2);
        self::assertSame(2, $fpm->request('session.php', ['id' => 'abc'])->json()['visits']);
        $promotion->wait();
        self::assertSame('visits|i:2;', $set->replica()->command('GET', 'abc'));
    }

    /** @param array<string, string> $ini */
    private function master(array $ini, int $workers): FpmMaster
    {
        $ini += ['session.use_cookies' => '0', 'session.use_only_cookies' => '0', 'session.cache_limiter' => ''];

        return $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests', $workers, $ini));
    }

    /**
     * @param array<string, string> ...$texts
     * @return list<array<string, string>> with the shared server's endpoint in them
     */
    private function here(array ...$texts): array
    {
        return array_map(static fn (array $text): array => str_replace('{endpoint}', self::shared()->endpoint(), $text), $texts);
    }
}
